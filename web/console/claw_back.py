"""Take a disputed top-up back, and forgive what is owed of one: asked here, done by a second person.

The same verbs as the API (EC-077); who asks has proven themselves a short time ago.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy import Row
from sqlalchemy.orm import Session

from models import clock
from pipelines.access.permissions import Permission
from pipelines.approvals.corrections import ask_to_claw_back, ask_to_write_off
from pipelines.approvals.foresee import ClawedBack, foresee_claw_back
from pipelines.credit import read
from pipelines.credit.claw_back import owing_row, top_up_row
from pipelines.credit.refusals import BeyondTopUp, DisputeNameUsed, OwesLess
from pipelines.jobs.cells import FORBIDDEN_CONTROLS
from web.console.amounts import amount_of, typed_amount
from web.console.changes import Change, Line, Place, agree, form_page
from web.console.formats import money
from web.console.visit import looking
from web.errors import STATUS
from web.front import front
from web.guards import freshly_proven, permitted

#: As the API takes it.
DISPUTE_CHARACTERS_MAX = 120
SECOND_PERSON = "It waits on the page of approvals, up to a day, and nothing moves before."
REASON_SEEN = "Also shown to whose account it is."


def add_pages(console: Blueprint) -> None:
    back = "/credit/transfers/<uuid:transfer_id>/claw-back"
    off = "/receivables/<uuid:receivable_id>/write-off"
    console.add_url_rule(back, "claw_back", claw_back_asked, methods=["GET"])
    console.add_url_rule(back, "claw_back_now", claw_back_taken, methods=["POST"])
    console.add_url_rule(off, "write_off", write_off_asked, methods=["GET"])
    console.add_url_rule(off, "write_off_now", write_off_taken, methods=["POST"])


@permitted(Permission.CREDIT_CORRECT)
def claw_back_asked(transfer_id: UUID) -> Response:
    freshly_proven()
    return _claw_form(transfer_id, {}, {})


@permitted(Permission.CREDIT_CORRECT)
def claw_back_taken(transfer_id: UUID) -> Response:
    """Show what would be taken and owed; ask a second person when that was agreed to."""
    freshly_proven()
    top_up, account = _top_up(transfer_id)
    typed, errors = (
        {"amount": typed_amount("amount"), "dispute": _typed_dispute()},
        dict[str, str](),
    )
    amount = amount_of("amount", top_up.currency, errors, may_be_empty=True)
    if amount == 0:
        errors["amount"] = "Leave it empty for all of it, or give an amount above zero."
    if wrong := _wrong_dispute(typed["dispute"]):
        errors["dispute"] = wrong
    if errors:
        return _claw_form(transfer_id, typed, errors)
    chosen: dict[str, Any] = {
        "transfer_id": transfer_id,
        "dispute_id": typed["dispute"],
        "amount": amount,
    }
    try:
        with looking() as session:
            foreseen = foresee_claw_back(session, **chosen)
        change = _claw_back(foreseen, typed["dispute"], partial(_asked, ask_to_claw_back, chosen))
        return agree(_place(account), change, typed)
    except (BeyondTopUp, DisputeNameUsed) as refusal:
        field = "amount" if isinstance(refusal, BeyondTopUp) else "dispute"
        status = STATUS[refusal.kind]
        return _claw_form(transfer_id, typed, {field: refusal.detail}, status=status)


@permitted(Permission.CREDIT_CORRECT)
def write_off_asked(receivable_id: UUID) -> Response:
    freshly_proven()
    return _off_form(receivable_id, {}, {})


@permitted(Permission.CREDIT_CORRECT)
def write_off_taken(receivable_id: UUID) -> Response:
    """Show what would still be owed; ask a second person when that was agreed to."""
    freshly_proven()
    owing, account = _owing(receivable_id)
    typed, errors = {"amount": typed_amount("amount")}, dict[str, str]()
    amount = amount_of("amount", owing.currency, errors, may_be_empty=True)
    if amount == 0:
        errors["amount"] = "Leave it empty for all of it, or give an amount above zero."
    if not errors and (amount or 1) > owing.owed:
        errors["amount"] = f"Only {money(owing.owed, owing.currency)} is owed. Write off no more."
    if errors:
        return _off_form(receivable_id, typed, errors)
    chosen = {"receivable_id": receivable_id, "amount": amount}
    change = _write_off(owing, account, amount, partial(_asked, ask_to_write_off, chosen))
    try:
        return agree(_place(account), change, typed)
    except OwesLess as refusal:
        words = {"amount": refusal.detail}
        return _off_form(receivable_id, typed, words, status=STATUS[refusal.kind])


def _asked(ask: Any, chosen: Mapping[str, Any], session: Session, reason: str) -> UUID:
    """Write the act down for a second person; the approval's id."""
    approval_id: UUID = ask(
        session,
        freshly_proven(),
        reason=reason,
        limits=front().house.limits,
        now=clock.now(session),
        **chosen,
    )
    return approval_id


def _claw_back(foreseen: ClawedBack, dispute: str, act: Any) -> Change:
    account, currency = foreseen.account, foreseen.account.currency

    def amount(minor: int) -> str:
        return money(minor, currency)

    owed = int(account.owed)
    return Change(
        f"Claw {amount(foreseen.amount)} back from {account.name}",
        (
            Line(
                f"Balance of {account.name}",
                amount(account.balance),
                amount(account.balance - foreseen.taken),
            ),
            Line("What it owes", amount(owed), amount(owed + foreseen.owed)),
            Line("The account", _standing(owed), _standing(owed + foreseen.owed)),
        ),
        f"For dispute {dispute}. What is available goes back at once, the rest is owed. "
        "If jobs spend meanwhile, more of it is owed. " + SECOND_PERSON,
        f"Ask to claw {amount(foreseen.amount)} back",
        url_for("console.approvals", done="asked"),
        "approval",
        act,
        is_ending=True,
        reason_hint=REASON_SEEN,
    )


def _write_off(owing: Row[Any], account: Row[Any], amount: int | None, act: Any) -> Change:
    forgiven = amount or int(owing.owed)
    total = int(account.owed)
    said = money(forgiven, owing.currency)
    return Change(
        f"Write off {said} that {account.name} owes",
        (
            Line(
                "Owed for this top-up",
                money(owing.owed, owing.currency),
                money(owing.owed - forgiven, owing.currency),
            ),
            Line("The account", _standing(total), _standing(total - forgiven)),
        ),
        "No credit moves: what was spent stays spent, and is asked for no more. " + SECOND_PERSON,
        f"Ask to write off {said}",
        url_for("console.approvals", done="asked"),
        "approval",
        act,
        is_ending=True,
        reason_hint=REASON_SEEN,
    )


def _standing(owed: int) -> str:
    return "Restricted: nothing new is paid from it" if owed else "Not restricted"


def _typed_dispute() -> str:
    return request.form.get("dispute", "").strip()[: DISPUTE_CHARACTERS_MAX + 1]


def _wrong_dispute(text: str) -> str | None:
    if not text:
        return "Give the dispute's or refund's name outside; it is taken once."
    if len(text) > DISPUTE_CHARACTERS_MAX:
        return f"Use at most {DISPUTE_CHARACTERS_MAX} characters."
    if FORBIDDEN_CONTROLS.search(text) or not text.isprintable():
        return "Use one line of text without control characters."
    return None


def _top_up(transfer_id: UUID) -> tuple[Row[Any], Row[Any]]:
    """The movement with the account it went to; raises what speaks against taking it back."""
    with looking() as session:
        top_up = top_up_row(session, transfer_id)
        return top_up, read.account(session, top_up.target_id)


def _owing(receivable_id: UUID) -> tuple[Row[Any], Row[Any]]:
    with looking() as session:
        owing = owing_row(session, receivable_id)
        return owing, read.account(session, owing.account_id)


def _claw_form(
    transfer_id: UUID,
    typed: Mapping[str, str],
    errors: Mapping[str, str],
    *,
    status: int | None = None,
) -> Response:
    top_up, account = _top_up(transfer_id)
    return form_page(
        "claw_back.html",
        _place(account),
        "Claw back a disputed top-up",
        typed,
        errors,
        status=status,
        account=account,
        top_up=money(top_up.amount, top_up.currency),
        left=money(int(top_up.amount - top_up.claimed), top_up.currency),
        currency=top_up.currency,
        dispute_max=DISPUTE_CHARACTERS_MAX,
    )


def _off_form(
    receivable_id: UUID,
    typed: Mapping[str, str],
    errors: Mapping[str, str],
    *,
    status: int | None = None,
) -> Response:
    owing, account = _owing(receivable_id)
    return form_page(
        "write_off.html",
        _place(account),
        "Write off what is owed",
        typed,
        errors,
        status=status,
        account=account,
        owed=money(owing.owed, owing.currency),
        currency=owing.currency,
    )


def _place(account: Row[Any]) -> Place:
    home = url_for("console.credit_account", account_id=account.id)
    return Place("credit", (("Credit", url_for("console.credit")), (account.name, home)))
