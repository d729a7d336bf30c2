"""What a person decides of a purchase: pay it back, or take another amount (EC-049, EC-050).

Each shows first what it does, and is done once, for a reason.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy import Row
from sqlalchemy.orm import Session

from models import clock
from models.payments import PaymentState
from pipelines.access.permissions import Permission
from pipelines.checkout.read import read_purchase, state_of_purchase
from pipelines.checkout.settle import accept_purchase, refund_purchase
from pipelines.payments.refund import refundable_minor
from pipelines.payments.refusals import NothingToRefund, PaymentEnded
from web.console.amounts import amount_of, typed_amount
from web.console.changes import Change, Line, agree, form_page
from web.console.formats import decimal_of, money
from web.console.frame import go
from web.console.purchase_words import STATES, asked_words, paid_words, slot_then, slot_words
from web.console.purchases import section_place
from web.console.visit import looking
from web.front import front
from web.guards import permitted, principal

REFUND_TITLE = "Pay back"
ACCEPT_TITLE = "Take what was paid"
NOTHING_LEFT = "Nothing is left to pay back."
ALL = "Leave it empty to pay back all of it."


def add_pages(console: Blueprint) -> None:
    path = "/purchases/<uuid:purchase_id>"
    console.add_url_rule(f"{path}/refund", "purchase_refund", ask_refund, methods=["GET"])
    console.add_url_rule(f"{path}/refund", "purchase_refund_now", refund, methods=["POST"])
    accept = f"{path}/accept"
    console.add_url_rule(accept, "purchase_accept", take, methods=["GET", "POST"])


@permitted(Permission.PURCHASES_SETTLE)
def ask_refund(purchase_id: UUID) -> Response:
    return _form(purchase_id, {}, {})


@permitted(Permission.PURCHASES_SETTLE)
def refund(purchase_id: UUID) -> Response:
    """Show what a refund would do, or ask Stripe for it when that was agreed to."""
    row, left = found_purchase(purchase_id)
    typed, errors = {"amount": typed_amount("amount")}, dict[str, str]()
    currency = row.paid_currency or row.currency
    amount = amount_of("amount", currency, errors, may_be_empty=True)
    if amount == 0:
        errors["amount"] = f"{ALL} Or give an amount above zero."
    is_agreed = "agreed" in request.form
    if not errors and not is_agreed:
        amount = left if amount is None else amount
        if wrong := why_not(row, amount, left):
            errors["amount"] = wrong
    if errors or amount is None:
        return _form(purchase_id, typed, errors)
    change = refund_change(row, amount, left, act=partial(_refund, row.id, amount))
    try:
        return agree(section_place(row), change, {"amount": decimal_of(amount, currency)})
    except NothingToRefund as refusal:
        most = money(refusal.extra["refundable_minor"], currency)
        wrong = f"{refusal.detail} What is left is {most}."
        return _form(purchase_id, typed, {"amount": wrong}, status=409)


@permitted(Permission.PURCHASES_SETTLE)
def take(purchase_id: UUID) -> Response:
    """Confirm a purchase by what was paid, though it is another amount than was asked for."""
    row, _left = found_purchase(purchase_id)
    home = url_for("console.purchase", purchase_id=purchase_id)
    is_over = row.payment_state != PaymentState.MISMATCHED or row.refused is not None
    if is_over and "agreed" not in request.form:
        return go(home)
    change = Change(
        title=ACCEPT_TITLE,
        lines=_taken_lines(row),
        note="Nothing more is asked of the customer, and the shop is told that the purchase is "
        "confirmed.",
        button="Take it and confirm the purchase",
        done=url_for("console.purchase", purchase_id=purchase_id, done="accepted"),
        kind="purchase",
        act=partial(_accept, purchase_id),
    )
    try:
        return agree(section_place(row), change, {})
    except PaymentEnded:
        return go(home)


def _taken_lines(row: Row[Any]) -> tuple[Line, ...]:
    state = STATES[state_of_purchase(row)].word
    lines = (
        Line("Paid", f"{paid_words(row)} of {asked_words(row)}", "Taken as it is"),
        Line("The purchase", state, STATES["confirmed"].word),
    )
    return (*lines, *_uses(row, lambda _code: "Counts as used"))


def _uses(row: Row[Any], then: Callable[[Mapping[str, Any]], str]) -> list[Line]:
    """What becomes of the use of each of its codes."""
    return [
        Line(f"The use of {one['code']}", slot_words(row, one), then(one))
        for one in row.codes or ()
    ]


def _accept(purchase_id: UUID, session: Session, reason: str) -> UUID:
    accept_purchase(
        session,
        purchase_id,
        reason=reason,
        followers=front().house.paying.pages.followers,
        actor_id=principal().actor_id,
        now=clock.now(session),
    )
    return purchase_id


def refund_change(
    row: Row[Any],
    amount: int,
    left: int,
    *,
    act: Callable[[Session, str], UUID],
    units: tuple[Line, ...] = (),
) -> Change:
    """What paying so much back does to the purchase and its use; `units` that came back stand first."""
    currency = row.paid_currency or row.currency
    is_whole = amount >= left
    back = row.refunded_minor + amount
    lines = [
        *units,
        Line(
            "Paid back of it",
            f"{money(row.refunded_minor, currency)} of {paid_words(row)}",
            f"{money(back, currency)} of {paid_words(row)}",
        ),
    ]
    lines += _uses(row, partial(slot_then, row, is_whole=is_whole))
    told = "The customer has the money in some days, by the way they paid."
    if row.payment_state == PaymentState.MISMATCHED:
        told += " The purchase is never confirmed then."
    return Change(
        title=f"{REFUND_TITLE} {money(amount, currency)}",
        lines=tuple(lines),
        note=f"{told} It cannot be called back.",
        button=f"Pay {money(amount, currency)} back",
        done=url_for("console.purchase", purchase_id=row.id, done="refunded"),
        kind="purchase",
        act=act,
        is_ending=True,
    )


def _refund(purchase_id: UUID, amount: int, session: Session, reason: str) -> UUID:
    return refund_purchase(
        session,
        purchase_id,
        amount_minor=amount,
        reason=reason,
        actor_id=principal().actor_id,
        now=clock.now(session),
    )


def why_not(row: Row[Any], amount: int, left: int) -> str | None:
    """Why so much cannot be paid back; nothing is said where it can."""
    currency = row.paid_currency or row.currency
    if left <= 0:
        return NOTHING_LEFT
    if amount > left:
        return f"At most {money(left, currency)} can be paid back."
    waits = row.payment_state == PaymentState.MISMATCHED and row.refused is None
    if waits and amount != left:
        return f"Another amount was paid than asked for: all of {money(left, currency)} goes back."
    return None


def _form(
    purchase_id: UUID,
    typed: Mapping[str, str],
    errors: Mapping[str, str],
    *,
    status: int | None = None,
) -> Response:
    row, left = found_purchase(purchase_id)
    currency = row.paid_currency or row.currency
    return form_page(
        "purchase_refund.html",
        section_place(row),
        REFUND_TITLE,
        {"amount": ""} | dict(typed),
        errors,
        status=status,
        currency=currency,
        paid=paid_words(row),
        left=money(max(0, left), currency),
        is_over=left <= 0,
        all_of_it=ALL,
    )


def found_purchase(purchase_id: UUID) -> tuple[Row[Any], int]:
    """The purchase, and how much of it can still be paid back."""
    with looking() as session:
        row = read_purchase(session, purchase_id)
        return row, refundable_minor(session, row)
