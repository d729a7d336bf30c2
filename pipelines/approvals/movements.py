"""Movements of credit large enough that a second person has to agree (SEC-31)."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from pipelines.access.permissions import Permission
from pipelines.access.principals import Principal
from pipelines.approvals.approvals import ApprovalKind, Detail, Kinds, ask_for_approval
from pipelines.credit.accounts import owner_of, side
from pipelines.credit.allocate import allocate, is_made, recall
from pipelines.credit.alone import APPROVED, may_move_alone, take_turns
from pipelines.credit.rules import allocation_refusal
from pipelines.credit.transfer import Posted
from pipelines.limits import Limits
from pipelines.queue.keys import Made


def _by(move: Callable[..., Posted]) -> Callable[[Session, UUID, Detail, UUID], UUID]:
    def act(session: Session, approval_id: UUID, detail: Detail, requested_by: UUID) -> UUID:
        posted = move(
            session,
            parent_id=UUID(str(detail["parent_id"])),
            child_id=UUID(str(detail["child_id"])),
            amount=int(detail["amount_minor"]),
            notes=str(detail["notes"]),
            client_ref=f"{APPROVED}{approval_id}",
            actor_id=requested_by,
        )
        return posted.transfer_id

    return act


#: By the name of their approvals.
MOVES: dict[str, Callable[..., Posted]] = {"credit.allocation": allocate, "credit.recall": recall}
KINDS: Kinds = {
    name: ApprovalKind(name, Permission.CREDIT_MOVE, _by(move)) for name, move in MOVES.items()
}
ALLOCATION, RECALL = KINDS["credit.allocation"], KINDS["credit.recall"]


def move_or_ask(
    session: Session,
    kind: ApprovalKind,
    caller: Principal,
    *,
    parent_id: UUID,
    child_id: UUID,
    amount: int,
    notes: str,
    key: str,
    limits: Limits,
    now: datetime,
) -> Made:
    """Move credit at once, or write it down for a second person if it is much.

    Much is what reaches the limit together with all the caller moved alone within a day: many
    small movements are one large one. `key` names the movement among the caller's, and one that
    was made under it is not made again.
    Raises `StepUpRequired` and what `allocate`, `recall` and `ask_for_movement` raise.
    """
    sides = {"parent_id": parent_id, "child_id": child_id}
    take_turns(session, caller)
    name = f"{kind.name.removeprefix('credit.')}:{caller.actor_id}:{key}"
    if not is_made(session, name) and not may_move_alone(
        session, caller, account_id=parent_id, amount=amount, limits=limits
    ):
        asked = ask_for_movement(
            session, kind, caller, **sides, amount=amount, notes=notes, limits=limits, now=now
        )
        return Made(asked, 202, "approval")
    posted = MOVES[kind.name](
        session,
        **sides,
        amount=amount,
        notes=notes,
        client_ref=name,
        actor_id=caller.actor_id,
    )
    return Made(posted.transfer_id, 201, "transfer")


def ask_for_movement(
    session: Session,
    kind: ApprovalKind,
    caller: Principal,
    *,
    parent_id: UUID,
    child_id: UUID,
    amount: int,
    notes: str,
    limits: Limits,
    now: datetime,
) -> UUID:
    """Write a large movement down for a second person of the parent account's tenant, or above.

    Raises `AllocationDirection`, `CurrencyMismatch`, `NotFound` at once; whether there is enough
    credit shows when it is approved.
    """
    refusal = allocation_refusal(source=side(session, parent_id), target=side(session, child_id))
    if refusal is not None:
        raise refusal
    owner = owner_of(session, parent_id)
    detail: dict[str, str | int] = {
        "parent_id": str(parent_id),
        "child_id": str(child_id),
        "amount_minor": amount,
        "notes": notes,
    }
    return ask_for_approval(
        session,
        kind,
        caller,
        detail,
        agency_id=owner.agency_id,
        client_id=owner.client_id,
        limits=limits,
        now=now,
    )
