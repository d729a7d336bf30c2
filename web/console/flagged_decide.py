"""What a person decides on a flagged use, for a reason; then the next one that waits (S2-138)."""

from functools import partial
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy import Row
from sqlalchemy.orm import Session

from models import clock
from models.discounts import UsageState
from models.risks import Decision
from pipelines.access.permissions import Permission
from pipelines.checkout import decide
from pipelines.errors import NotFound, Refusal
from pipelines.fraud.queue import place_in_queue
from pipelines.fraud.read import WantedFlagged, read_flagged
from pipelines.fraud.score import words
from web.console.changes import Change, Line, Place, form_page
from web.console.discount_words import applied
from web.console.discounts import TITLE as DISCOUNTS
from web.console.flagged import ONE, TITLE, use_state
from web.console.form_names import form_name
from web.console.formats import money
from web.console.frame import go
from web.console.purchase_words import restored_words
from web.console.reasons import NO_REASON, typed_reason
from web.console.typed import id_in
from web.console.visit import looking
from web.errors import STATUS
from web.front import front
from web.guards import permitted, principal


def add_pages(console: Blueprint) -> None:
    one = "/discounts/flagged/<uuid:reservation_id>"
    console.add_url_rule(f"{one}/approve", "flagged_approve", approve, methods=["GET", "POST"])
    console.add_url_rule(f"{one}/reject", "flagged_reject", reject, methods=["GET", "POST"])


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
    return _next(reservation_id, decision)


def _next(reservation_id: UUID, decision: Decision) -> Response:
    """To the next one that waits, of the code that the address names; to the list after the last one."""
    code_id = id_in(request.args.get("code"))
    with looking() as session:
        row = read_flagged(session, reservation_id)
        following = place_in_queue(session, WantedFlagged(code_id=code_id), row).next_id
    done = _done(row, decision)
    if following is None:
        return go(url_for("console.flagged", code=code_id, done=done))
    return go(url_for("console.flagged_item", reservation_id=following, code=code_id, done=done))


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
    code_id = id_in(request.args.get("code"))
    item = url_for("console.flagged_item", reservation_id=reservation_id, code=code_id)
    above = (
        (DISCOUNTS, url_for("console.discounts")),
        (TITLE, url_for("console.flagged", code=code_id)),
        (ONE, item),
    )
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
    state = use_state(row)
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
