"""The page of a purchase: what was bought, what was paid, why it waits, and what went back."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy import Row

from models.payments import PaymentState
from pipelines.access.permissions import Permission, is_allowed
from pipelines.checkout.read import read_purchase, state_of_purchase
from pipelines.checkout.returned import units_back
from pipelines.payments.read import disputes_of, refunds_of
from pipelines.payments.refund import refundable_minor
from pipelines.tenants.clients import client_places
from web.audit_seen import look_up_names
from web.console.audit_words import UNKNOWN_ACTOR
from web.console.formats import money
from web.console.frame import page
from web.console.job_words import StateWords
from web.console.purchase_words import (
    REFUND_STATES,
    STATES,
    asked_words,
    dispute_words,
    paid_words,
    refund_reason,
    remarks,
    slot_words,
    why,
)
from web.console.purchases import TITLE, customers_of
from web.console.visit import looking
from web.front import front
from web.guards import permitted, principal

DONE = {
    "refunded": "The refund is asked for. It stands below, with how far it is.",
    "accepted": "What was paid is taken: the purchase is confirmed.",
}


@dataclass(frozen=True, slots=True)
class QuoteLine:
    """One line of what was bought."""

    name: str
    sku: str
    quantity: int
    back: int
    price: str
    discount: str
    tax: str
    left: str


@dataclass(frozen=True, slots=True)
class UseLine:
    """One code of the purchase, and where its use stands."""

    code: str
    code_id: str
    off: str
    stands: str


@dataclass(frozen=True, slots=True)
class RefundLine:
    """One refund."""

    amount: str
    state: StateWords
    failure: str
    reason: str
    note: str
    by: str
    refund_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class DisputeLine:
    """One dispute."""

    dispute_id: str
    amount: str
    state: StateWords
    status: str
    reason: str
    as_of: datetime


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/purchases/<uuid:purchase_id>", "purchase", show)


@permitted(Permission.PURCHASES_READ)
def show(purchase_id: UUID) -> Response:
    caller = principal()
    with looking() as session:
        row = read_purchase(session, purchase_id)
        refunds, disputes = refunds_of(session, purchase_id), disputes_of(session, purchase_id)
        customer = customers_of(session, [row])[row.id]
        left, returned = refundable_minor(session, row), units_back(session, purchase_id)
        owner = client_places(session, [row.client_id])[row.client_id].name
    makers = [one.created_by for one in refunds if one.created_by is not None]
    names = look_up_names(front().house.sessions, caller, makers)
    currency = row.paid_currency or row.currency
    return page(
        "purchase.html",
        title=f"Purchase {row.cart_reference}",
        section="purchases",
        crumbs=[(TITLE, url_for("console.purchases")), (row.cart_reference, None)],
        purchase=row,
        state=STATES[state_of_purchase(row)],
        why=why(row),
        remarks=remarks(row),
        owner="" if caller.client_id is not None else owner,
        customer=customer,
        asked=asked_words(row),
        paid=paid_words(row),
        codes=[_use(row, one) for one in row.codes or ()],
        lines=quote_lines(row, returned),
        sums=_sums(row),
        refunds=[_refund(one, currency, names) for one in refunds],
        disputes=[_dispute(one, currency) for one in disputes],
        back=money(row.refunded_minor, currency),
        left=money(left, currency) if left > 0 else None,
        waits=row.payment_state == PaymentState.MISMATCHED and row.refused is None,
        is_flagged=row.review is not None,
        may_review=is_allowed(caller, Permission.DISCOUNTS_MANAGE),
        may_settle=is_allowed(caller, Permission.PURCHASES_SETTLE),
        may_see_code=is_allowed(caller, Permission.DISCOUNTS_READ),
        may_audit=is_allowed(caller, Permission.AUDIT_READ),
        done=DONE.get(request.args.get("done", "")),
    )


def quote_lines(row: Row[Any], back: Mapping[int, int]) -> list[QuoteLine]:
    """What was bought, in the words of the page, with how many units of each line came back."""
    currency = row.quote["currency"]
    return [
        QuoteLine(
            line.get("name") or line["sku"],
            line["sku"],
            line["quantity"],
            back.get(place, 0),
            money(line["gross_minor"], currency),
            money(line["discount_minor"], currency),
            money(line["tax_minor"], currency),
            money(line["net_minor"], currency),
        )
        for place, line in enumerate(row.quote["lines"])
    ]


def _use(row: Row[Any], code: Mapping[str, Any]) -> UseLine:
    off = money(code["discount_minor"], row.quote["currency"])
    return UseLine(code["code"], code["code_id"], off, slot_words(row, code))


def _sums(row: Row[Any]) -> list[tuple[str, str]]:
    quote = row.quote
    tax = "Tax, in the prices" if quote["includes_tax"] else "Tax, added"
    told = (
        ("Products", quote["subtotal_minor"]),
        ("Taken off", quote["discount_minor"]),
        (tax, quote["tax_minor"]),
        ("To pay", quote["total_minor"]),
    )
    return [(name, money(minor, quote["currency"])) for name, minor in told]


def _refund(one: Row[Any], currency: str, names: Mapping[UUID, str]) -> RefundLine:
    return RefundLine(
        money(one.amount_minor, currency),
        REFUND_STATES[one.state],
        one.failure_code or "",
        refund_reason(one.reason),
        one.note or "",
        "" if one.created_by is None else names.get(one.created_by) or UNKNOWN_ACTOR,
        one.refund_id or "",
        one.created_at,
    )


def _dispute(one: Row[Any], currency: str) -> DisputeLine:
    return DisputeLine(
        one.dispute_id,
        money(one.amount_minor, currency),
        dispute_words(one.status),
        one.status.replace("_", " "),
        one.reason.replace("_", " "),
        one.as_of,
    )
