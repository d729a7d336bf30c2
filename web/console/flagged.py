"""Flagged uses of codes: why, in words, and what a person decides, for a reason (S2-063, S2-138)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy import Row
from sqlalchemy.orm import Session

from models import clock
from models.discounts import UsageState
from models.risks import Decision
from pipelines.access.permissions import Permission, is_allowed
from pipelines.checkout import decide
from pipelines.errors import NotFound, Refusal
from pipelines.fraud.read import FlaggedPlace, WantedFlagged, list_flagged, read_flagged
from pipelines.fraud.score import words
from web.console.changes import Change, Line, Place, form_page
from web.console.discount_words import applied, held_words
from web.console.discounts import TITLE as DISCOUNTS
from web.console.form_names import form_name
from web.console.formats import money, span
from web.console.frame import go, page
from web.console.job_words import StateWords
from web.console.purchase_words import restored_words
from web.console.purchases import customers_of
from web.console.reasons import NO_REASON, typed_reason
from web.console.typed import id_in
from web.console.visit import looking
from web.errors import STATUS
from web.front import front
from web.guards import permitted, principal

TITLE = "Flagged review"
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
    """One flagged use of the list."""

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
    path = "/discounts/flagged"
    one = f"{path}/<uuid:reservation_id>"
    console.add_url_rule(path, "flagged", show_list, methods=["GET"])
    console.add_url_rule(f"{one}/approve", "flagged_approve", approve, methods=["GET", "POST"])
    console.add_url_rule(f"{one}/reject", "flagged_reject", reject, methods=["GET", "POST"])


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
        flagged=[_line(row, customers[row.id], now) for row in shown],
        is_decided=is_decided,
        code_id=wanted.code_id,
        older=older,
        is_later_page=before is not None,
        chosen=chosen,
        may_settle=is_allowed(caller, Permission.PURCHASES_SETTLE),
        may_see_purchases=is_allowed(caller, Permission.PURCHASES_READ),
        done=DONE.get(request.args.get("done", "")),
    )


@permitted(Permission.PURCHASES_SETTLE)
def approve(reservation_id: UUID) -> Response:
    return _decision(reservation_id, Decision.APPROVED, _approve)


@permitted(Permission.PURCHASES_SETTLE)
def reject(reservation_id: UUID) -> Response:
    return _decision(reservation_id, Decision.REJECTED, _reject)


def _approve(reservation_id: UUID, reason: str) -> None:
    actor_id = principal().actor_id
    with looking() as session:
        now = clock.now(session)
        decide.approve(session, reservation_id, reason=reason, actor_id=actor_id, now=now)


def _reject(reservation_id: UUID, reason: str) -> None:
    house, caller = front().house, principal()
    decide.reject(
        house.sessions,
        caller.scope,
        reservation_id,
        reason=reason,
        pages=house.paying.pages,
        actor_id=caller.actor_id,
    )


def _decision(reservation_id: UUID, decision: Decision, act: Any) -> Response:
    """Asked for a reason first; decided once, however often the form is sent."""
    ask = partial(_question, reservation_id, decision)
    if request.method == "GET" or "agreed" not in request.form:
        return ask({})
    reason = typed_reason()
    if not reason:
        return ask({"reason": NO_REASON})
    try:
        act(reservation_id, reason)
    except NotFound:
        raise
    except Refusal as refusal:
        return ask({"reason": refusal.detail}, status=STATUS[refusal.kind])
    with looking() as session:
        done = _done(read_flagged(session, reservation_id), decision)
    return go(url_for("console.flagged", done=done))


def _done(row: Row[Any], decision: Decision) -> str:
    """What came of it: a use that was confirmed before keeps its slot until its money is back."""
    if decision is Decision.APPROVED or row.state != UsageState.CONFIRMED:
        return decision.value
    return "goes_back" if row.left_minor else "free"


def _question(
    reservation_id: UUID, decision: Decision, errors: dict[str, str], *, status: int | None = None
) -> Response:
    with looking() as session:
        row = read_flagged(session, reservation_id)
    home = url_for("console.flagged")
    above = ((DISCOUNTS, url_for("console.discounts")), (TITLE, home))
    change = _change(row, decision)
    return form_page(
        "change_check.html",
        Place("discounts", above),
        change.title,
        {},
        errors,
        status=status,
        change=change,
        form_name=form_name(),
        typed_reason=typed_reason(),
    )


def _change(row: Row[Any], decision: Decision) -> Change:
    is_approval = decision is Decision.APPROVED
    state = _state(row)
    total = money(row.total_minor, row.currency)
    return Change(
        title=f"{'Approve' if is_approval else 'Reject'} the use of {applied(row.codes)}",
        lines=(
            Line("The use", state.word, "Approved" if is_approval else "Rejected"),
            Line(f"The purchase of {total}", *_money_then(row, is_approval=is_approval)),
            *(() if is_approval else _slots_then(row)),
        ),
        note=f"Score {row.score} of 100. {' '.join(map(words, row.reasons))}",
        button="Approve the use" if is_approval else "Reject the use",
        done="",
        kind="reservation",
        act=_no_act,
        is_ending=not is_approval,
    )


def _money_then(row: Row[Any], *, is_approval: bool) -> tuple[str, str]:
    """Where the money is, and where it goes."""
    if row.review is None and row.state != UsageState.CONFIRMED:
        return "Not paid", "May be paid" if is_approval else "Not paid; its page is ended"
    if not row.left_minor:
        return "Nothing to pay", "Confirmed" if is_approval else "Stays confirmed"
    return "Paid", "Confirmed" if is_approval else "Paid back"


def _slots_then(row: Row[Any]) -> list[Line]:
    """What a rejection makes of the slot of each code."""
    told = []
    for code in row.codes:
        now, then = "Reserved", "Free for another customer"
        if row.state == UsageState.CONFIRMED:
            now, then = "Counts as used", "Stays used"
            if row.left_minor:
                then = restored_words(code["restore_on_refund"])
        elif row.state != UsageState.RESERVED:
            now = then = "Given back"
        told.append(Line(f"The slot of {code['code']}", now, then))
    return told


def _no_act(_session: Session, _reason: str) -> UUID:
    raise AssertionError("decided by its own form")


def _state(row: Row[Any]) -> StateWords:
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


def _line(row: Row[Any], customer: str, now: datetime) -> FlaggedLine:
    return FlaggedLine(
        row.id,
        row.codes,
        row.cart_reference,
        customer,
        row.purchase_id,
        row.score,
        [words(one) for one in row.reasons],
        _state(row),
        money(row.discount_minor, row.currency),
        money(row.total_minor, row.currency),
        row.flagged_at,
        span((now - row.flagged_at).total_seconds()),
        None if row.decision is None else DECISIONS[row.decision],
        row.decision_reason,
        row.state == UsageState.RESERVED and held_words(row.payment_state) is None,
    )
