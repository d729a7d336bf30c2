"""Movements of credit large enough that a second person has to agree (SEC-31)."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from pipelines.access.permissions import Permission
from pipelines.access.principals import Principal
from pipelines.approvals.approvals import ApprovalKind, Detail, Kinds, ask_for_approval
from pipelines.credit.accounts import owner_of, side
from pipelines.credit.allocate import allocate, recall
from pipelines.credit.rules import allocation_refusal
from pipelines.credit.transfer import Posted
from pipelines.limits import Limits


def _by(move: Callable[..., Posted]) -> Callable[[Session, UUID, Detail, UUID], UUID]:
    def act(session: Session, approval_id: UUID, detail: Detail, requested_by: UUID) -> UUID:
        posted = move(
            session,
            parent_id=UUID(str(detail["parent_id"])),
            child_id=UUID(str(detail["child_id"])),
            amount=int(detail["amount_minor"]),
            notes=str(detail["notes"]),
            client_ref=f"approval:{approval_id}",
            actor_id=requested_by,
        )
        return posted.transfer_id

    return act


ALLOCATION = ApprovalKind("credit.allocation", Permission.CREDIT_MOVE, _by(allocate))
RECALL = ApprovalKind("credit.recall", Permission.CREDIT_MOVE, _by(recall))
KINDS: Kinds = {kind.name: kind for kind in (ALLOCATION, RECALL)}


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
