"""Ask for an act, approve it and do it, reject it, read what waits: in the caller's scope."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, select, update
from sqlalchemy.orm import Session

from models.approvals import Approval, ApprovalState
from models.base import new_id
from pipelines.access.permissions import Permission, require
from pipelines.access.principals import Principal
from pipelines.approvals.rules import decision_refusal
from pipelines.audit.record import record
from pipelines.errors import NotFound
from pipelines.limits import Limits

Detail = Mapping[str, str | int]
EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class ApprovalKind:
    """An act that may wait for a second person: who may approve it, and how it is done.

    `act(session, approval_id, detail, requested_by)` returns the id of what it made, and raises
    what the act alone would raise: then nothing is decided.
    """

    name: str
    needs: Permission
    act: Callable[[Session, UUID, Detail, UUID], UUID]


Kinds = Mapping[str, ApprovalKind]


def ask_for_approval(
    session: Session,
    kind: ApprovalKind,
    caller: Principal,
    detail: Detail,
    *,
    agency_id: UUID | None,
    client_id: UUID | None,
    limits: Limits,
    now: datetime,
) -> UUID:
    """Write down an act that a second person of this tenant, or of one above, has to approve."""
    identity = new_id()
    session.execute(
        insert(Approval).values(
            id=identity,
            agency_id=agency_id,
            client_id=client_id,
            kind=kind.name,
            detail=dict(detail),
            requested_by=caller.actor_id,
            expires_at=now + timedelta(hours=limits.approval_hours),
            created_at=now,
        )
    )
    row = approval_row(session, identity)
    _audit(session, "approval.requested", row, caller)
    return identity


def approve(
    session: Session, approval_id: UUID, caller: Principal, *, kinds: Kinds, now: datetime
) -> None:
    """Do what was asked for, in this transaction.

    Raises `NotFound`, `Forbidden`, `ApprovalDecided`, `ApprovalExpired`, `SelfApproval`, and what
    the act raises.
    """
    row = _decidable(session, approval_id, caller, kinds, now=now)
    made = kinds[row.kind].act(session, row.id, row.detail, row.requested_by)
    _decide(session, row, caller, ApprovalState.APPROVED, now=now, result_id=made)
    _audit(session, "approval.approved", row, caller)


def reject(
    session: Session,
    approval_id: UUID,
    caller: Principal,
    *,
    reason: str,
    kinds: Kinds,
    now: datetime,
) -> None:
    """Say no, and why; refusals as for `approve`."""
    row = _decidable(session, approval_id, caller, kinds, now=now)
    _decide(session, row, caller, ApprovalState.REJECTED, now=now, reason=reason)
    _audit(session, "approval.rejected", row, caller, reason=reason)


def approval_row(session: Session, approval_id: UUID) -> Row[Any]:
    """One approval, or `NotFound`."""
    rows: list[Row[Any]] = list(session.execute(_READ.where(Approval.id == approval_id)))
    if not rows:
        raise NotFound
    return rows[0]


def list_approvals(
    session: Session, *, only_pending: bool, before: UUID | None, limit: int, now: datetime
) -> list[Row[Any]]:
    """Approvals of this scope, newest first."""
    query = _READ
    if only_pending:
        query = query.where(Approval.state == ApprovalState.PENDING, Approval.expires_at > now)
    if before is not None:
        query = query.where(Approval.id < before)
    return list(session.execute(query.order_by(Approval.id.desc()).limit(limit)))


def shown_state(row: Row[Any], *, now: datetime) -> str:
    """The state as people see it: what nobody decided in time has expired."""
    if row.state == ApprovalState.PENDING and now >= row.expires_at:
        return EXPIRED
    return str(row.state)


_READ = select(
    Approval.id,
    Approval.agency_id,
    Approval.client_id,
    Approval.kind,
    Approval.detail,
    Approval.state,
    Approval.requested_by,
    Approval.decided_by,
    Approval.decided_at,
    Approval.reason,
    Approval.result_id,
    Approval.expires_at,
    Approval.created_at,
)


def _decidable(
    session: Session, approval_id: UUID, caller: Principal, kinds: Kinds, *, now: datetime
) -> Row[Any]:
    """The approval, locked: of two who decide at once the second finds it decided."""
    rows: list[Row[Any]] = list(
        session.execute(_READ.where(Approval.id == approval_id).with_for_update())
    )
    if not rows:
        raise NotFound
    row = rows[0]
    require(caller, kinds[row.kind].needs)
    refusal = decision_refusal(
        ApprovalState(row.state),
        requested_by=row.requested_by,
        decided_by=caller.actor_id,
        expires_at=row.expires_at,
        now=now,
    )
    if refusal is not None:
        raise refusal
    return row


def _decide(
    session: Session,
    row: Row[Any],
    caller: Principal,
    state: ApprovalState,
    *,
    now: datetime,
    reason: str | None = None,
    result_id: UUID | None = None,
) -> None:
    session.execute(
        update(Approval)
        .where(Approval.id == row.id)
        .values(
            state=state.value,
            decided_by=caller.actor_id,
            decided_at=now,
            reason=reason,
            result_id=result_id,
        )
    )


def _audit(session: Session, action: str, row: Row[Any], caller: Principal, **detail: str) -> None:
    record(
        session,
        action,
        object_kind="approval",
        object_id=row.id,
        actor_id=caller.actor_id,
        agency_id=row.agency_id,
        client_id=row.client_id,
        detail={"kind": row.kind} | detail,
    )
