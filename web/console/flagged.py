"""Flagged uses of codes: the list, with why in words and what a person decided (S2-063, S2-138)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy import Row

from models import clock
from models.discounts import UsageState
from models.risks import Decision
from pipelines.access.permissions import Permission, is_allowed
from pipelines.fraud.read import FlaggedPlace, WantedFlagged, list_flagged
from pipelines.fraud.score import words
from web.console.discount_words import held_words
from web.console.discounts import TITLE as DISCOUNTS
from web.console.formats import money, span
from web.console.frame import page
from web.console.job_words import StateWords
from web.console.purchases import customers_of
from web.console.typed import id_in
from web.console.visit import looking
from web.guards import permitted, principal

TITLE = "Flagged review"
#: The page of one of them.
ONE = "Flagged use"
PAGE_SIZE = 50
DONE = {
    "approved": "The use is approved. What was paid is confirmed.",
    "rejected": "The use is rejected, and the slot is free. What was paid goes back.",
    "goes_back": "The use is rejected. What was paid goes back; each code says what then becomes of its use.",
    "free": "The use is rejected. Nothing was paid, so that nothing goes back: it stays confirmed.",
}
#: What a use is at this moment, and what money has to do with it.
PAID = StateWords("Paid, waits for you", "clock", "warn")
STATES: Mapping[str, StateWords] = {
    UsageState.RESERVED: StateWords("Reserved, not paid", "clock", "info"),
    UsageState.CONFIRMED: StateWords("Confirmed before it was flagged", "check", "good"),
    UsageState.RELEASED: StateWords("Released", "stop", "plain"),
    UsageState.REFUNDED: StateWords("Refunded", "stop", "plain"),
}
CONFIRMED = StateWords("Confirmed", "check", "good")
#: Of what was rejected and did not end yet.
IS_FREE = StateWords("Confirmed, nothing was paid", "check", "plain")
GOES_BACK = StateWords("Confirmed, is paid back", "clock", "info")
STILL_RESERVED = StateWords("Still reserved", "clock", "warn")
DECISIONS: Mapping[str, StateWords] = {
    Decision.APPROVED: StateWords("Approved", "check", "good"),
    Decision.REJECTED: StateWords("Rejected", "cross", "bad"),
}


@dataclass(frozen=True, slots=True)
class FlaggedLine:
    """One flagged use, in the list and by itself."""

    id: UUID
    codes: list[dict[str, Any]]
    cart: str
    customer: str
    purchase_id: UUID | None
    score: int
    reasons: list[str]
    state: StateWords
    off: str
    total: str
    flagged_at: datetime
    age: str
    decision: StateWords | None
    why: str | None
    #: Reserved, and somebody may still pay: its page can be ended.
    is_live: bool


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/discounts/flagged", "flagged", show_list, methods=["GET"])


@permitted(Permission.DISCOUNTS_MANAGE)
def show_list() -> Response:
    caller = principal()
    is_decided = request.args.get("decided") == "yes"
    wanted = WantedFlagged(is_decided, code_id=id_in(request.args.get("code")))
    before = _before()
    with looking() as session:
        now = clock.now(session)
        found = list_flagged(session, wanted, before=before, limit=PAGE_SIZE + 1)
        shown = found[:PAGE_SIZE]
        customers = customers_of(session, shown)
    chosen: dict[str, Any] = {"decided": "yes" if is_decided else None, "code": wanted.code_id}
    older = None
    if len(found) > PAGE_SIZE:
        older = url_for("console.flagged", **chosen, before=str(FlaggedPlace.of(shown[-1])))
    return page(
        "flagged.html",
        title=TITLE,
        section="discounts",
        crumbs=[(DISCOUNTS, url_for("console.discounts")), (TITLE, None)],
        flagged=[flagged_line(row, customers[row.id], now) for row in shown],
        is_decided=is_decided,
        code_id=wanted.code_id,
        older=older,
        is_later_page=before is not None,
        chosen=chosen,
        may_settle=is_allowed(caller, Permission.PURCHASES_SETTLE),
        may_see_purchases=is_allowed(caller, Permission.PURCHASES_READ),
        done=DONE.get(request.args.get("done", "")),
    )


def use_state(row: Row[Any]) -> StateWords:
    """How the use stands, by its decision, too."""
    if row.review is not None:
        return PAID
    match row.decision, row.state:
        case Decision.APPROVED, UsageState.CONFIRMED:
            return CONFIRMED
        case Decision.REJECTED, UsageState.CONFIRMED:
            return GOES_BACK if row.left_minor else IS_FREE
        case Decision.REJECTED, UsageState.RESERVED:
            return STILL_RESERVED
        case _, state:
            return STATES[state]


def _before() -> FlaggedPlace | None:
    """Where the page before ended; none for what names no place."""
    try:
        return FlaggedPlace.named(request.args.get("before", ""))
    except ValueError:
        return None


def flagged_line(row: Row[Any], customer: str, now: datetime) -> FlaggedLine:
    return FlaggedLine(
        row.id,
        row.codes,
        row.cart_reference,
        customer,
        row.purchase_id,
        row.score,
        [words(one) for one in row.reasons],
        use_state(row),
        money(row.discount_minor, row.currency),
        money(row.total_minor, row.currency),
        row.flagged_at,
        span((now - row.flagged_at).total_seconds()),
        None if row.decision is None else DECISIONS[row.decision],
        row.decision_reason,
        row.state == UsageState.RESERVED and held_words(row.payment_state) is None,
    )
