"""What waits for a second person, in words, with both answers (SEC-31)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy import Row
from sqlalchemy.orm import Session

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.access.actors import names_of
from pipelines.access.permissions import Permission, may
from pipelines.approvals.approvals import approval_row, approve, list_approvals, reject, shown_state
from pipelines.approvals.people import check_people, objections
from pipelines.credit.read import account_names
from pipelines.errors import Refusal
from pipelines.openings.open_sheet import APPROVAL as OPENING
from pipelines.provisioning.replace import APPROVAL
from web.console.formats import money
from web.console.frame import go, page
from web.console.job_words import StateWords
from web.console.reasons import typed_reason
from web.console.sheet_words import opening_words
from web.console.visit import looking
from web.front import front
from web.guards import freshly_proven, permitted, principal

SHOWN_MAX = 100
UNNAMED = "Somebody without a name"
STATES = {
    "pending": StateWords("Waits", "clock", "warn"),
    "approved": StateWords("Approved", "check", "good"),
    "rejected": StateWords("Rejected", "cross", "bad"),
    "expired": StateWords("Expired", "skip", "soft"),
}
DONE = {
    "approved": "It is approved and done.",
    "rejected": "It is rejected; nothing happened.",
    "asked": "It waits for a second person; nothing has moved yet.",
}


@dataclass(frozen=True, slots=True)
class ApprovalWords:
    """One act that waits or waited for a second person."""

    id: UUID
    what: str
    notes: str
    state: StateWords
    asked_by: str
    asked_at: datetime
    expires_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    reason: str | None
    may_decide: bool
    is_own: bool
    #: Why it can only be rejected.
    objection: str | None
    #: The page that says more of it.
    about: str | None


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/approvals", "approvals", show, methods=["GET"])
    console.add_url_rule(
        "/approvals/<uuid:approval_id>/approve", "approve", approve_now, methods=["POST"]
    )
    console.add_url_rule(
        "/approvals/<uuid:approval_id>/reject", "reject", reject_now, methods=["POST"]
    )


@permitted(Permission.APPROVALS_READ)
def show() -> Response:
    return _page()


@permitted(Permission.APPROVALS_DECIDE)
def approve_now(approval_id: UUID) -> Response:
    """Agree: it happens at once."""
    caller, sessions = freshly_proven(), front().house.sessions
    with scoped_transaction(sessions, caller.scope) as session:
        approval_row(session, approval_id)
    check_people(sessions, approval_id, caller, front().house.approval_kinds)
    with scoped_transaction(sessions, caller.scope) as session:
        approve(
            session, approval_id, caller, kinds=front().house.approval_kinds, now=clock.now(session)
        )
    return go(url_for("console.approvals", done="approved"))


@permitted(Permission.APPROVALS_DECIDE)
def reject_now(approval_id: UUID) -> Response:
    """Disagree; the reason is told to who asked."""
    reason = typed_reason()
    if not reason or not reason.isprintable():
        return _page({f"reason-{approval_id}": "Say why, in one line."}, status=422)
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        now = clock.now(session)
        reject(
            session,
            approval_id,
            principal(),
            reason=reason,
            kinds=front().house.approval_kinds,
            now=now,
        )
    return go(url_for("console.approvals", done="rejected"))


def _page(errors: dict[str, str] | None = None, *, status: int = 200) -> Response:
    with looking() as session:
        now = clock.now(session)
        rows = list_approvals(session, only_pending=False, before=None, limit=SHOWN_MAX, now=now)
        accounts = _account_names(session, rows)
    people = {person for row in rows for person in (row.requested_by, row.decided_by) if person}
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        names = names_of(session, people, caller=principal())
        waiting = [row.id for row in rows if row.state == "pending"]
        against = objections(session, waiting, principal(), front().house.approval_kinds)
    return page(
        "approvals.html",
        title="Approvals",
        section="approvals",
        status=status,
        errors=errors or {},
        done=DONE.get(request.args.get("done", "")),
        approvals=[_words(row, names, accounts, against.get(row.id), now=now) for row in rows],
    )


def _account_names(session: Session, rows: list[Row[Any]]) -> dict[str, tuple[str, str]]:
    ends = ("parent_id", "child_id", "account_id")
    wanted = {UUID(row.detail[end]) for row in rows for end in ends if end in row.detail}
    return {str(key): value for key, value in account_names(session, wanted).items()}


def _words(
    row: Row[Any],
    names: dict[UUID, str],
    accounts: dict[str, tuple[str, str]],
    objection: Refusal | None,
    *,
    now: datetime,
) -> ApprovalWords:
    state, caller = shown_state(row, now=now), principal()
    is_own = row.requested_by == caller.actor_id
    waits = state == "pending" and may(caller.role, Permission.APPROVALS_DECIDE)
    return ApprovalWords(
        id=row.id,
        what=_what(row, accounts),
        notes=row.detail["notes"],
        state=STATES[state],
        asked_by=names.get(row.requested_by) or UNNAMED,
        asked_at=row.created_at,
        expires_at=row.expires_at,
        decided_by=(names.get(row.decided_by) or UNNAMED) if row.decided_by else None,
        decided_at=row.decided_at,
        reason=row.reason,
        may_decide=waits and not is_own,
        is_own=waits and is_own,
        objection=objection.detail if objection else None,
        about=url_for("console.sheet", sheet_id=row.detail["balance_sheet_id"])
        if row.kind == OPENING
        else None,
    )


def _what(row: Row[Any], accounts: dict[str, tuple[str, str]]) -> str:
    """The act in one sentence, its amount first."""
    if row.kind == APPROVAL:
        return "Give a recipient a further card in place of one that does not work, uncharged"
    if row.kind == OPENING:
        return opening_words(row.detail)
    if "account_id" in row.detail:
        return _correction(row, *accounts.get(row.detail["account_id"], ("an account", "USD")))
    parent, currency = accounts.get(row.detail["parent_id"], ("an account above", "USD"))
    child, _currency = accounts.get(row.detail["child_id"], ("an account below", currency))
    amount = money(row.detail["amount_minor"], currency)
    if row.kind == "credit.recall":
        return f"Take {amount} back from {child} to {parent}"
    return f"Allocate {amount} from {parent} to {child}"


def _correction(row: Row[Any], name: str, currency: str) -> str:
    if row.kind == "credit.unfreeze":
        balance, held, drift, held_drift = (
            money(row.detail[part], currency)
            for part in ("balance_minor", "held_minor", "balance_drift_minor", "held_drift_minor")
        )
        return (
            f"Unfreeze {name}: its balance is off by {drift}, what jobs hold by {held_drift}; "
            f"it gets {balance}, {held} of it held by jobs"
        )
    amount = money(abs(row.detail["amount_minor"]), currency)
    if row.kind == "credit.claw_back":
        return f"Claw {amount} back from {name}, for dispute {row.detail['dispute_id']}"
    if row.kind == "credit.write_off":
        return f"Write off {amount} that {name} owes"
    if row.kind == "credit.reversal":
        return f"Reverse the movement of {amount} to {name}"
    if row.detail["amount_minor"] < 0:
        return f"Take {amount} from {name} out of the books"
    return f"Adjust {name} by {amount} from outside the books"
