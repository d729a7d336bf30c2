"""Corrections of the books: each waits for a second person of the platform, whatever its amount."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from models import clock
from pipelines.access.permissions import Permission
from pipelines.access.principals import Principal
from pipelines.alerts.kinds import LEDGER_DRIFT
from pipelines.alerts.raise_alert import settle_alert
from pipelines.approvals import movements
from pipelines.approvals.approvals import ApprovalKind, Detail, Kinds, ask_for_approval
from pipelines.credit.adjust import adjust, check_reversible, reverse, unfreeze
from pipelines.credit.alone import APPROVED
from pipelines.credit.claw_back import check_disputable, claw_back, owing_row, write_off
from pipelines.credit.drift import Sums, frozen_under_lock
from pipelines.credit.read import account
from pipelines.credit.refusals import OwesLess
from pipelines.limits import Limits


def _adjust(session: Session, approval_id: UUID, detail: Detail, requested_by: UUID) -> UUID:
    return adjust(
        session,
        target_id=UUID(str(detail["account_id"])),
        amount=int(detail["amount_minor"]),
        notes=str(detail["notes"]),
        client_ref=f"{APPROVED}{approval_id}",
        actor_id=requested_by,
    ).transfer_id


def _reverse(session: Session, approval_id: UUID, detail: Detail, requested_by: UUID) -> UUID:
    return reverse(
        session,
        transfer_id=UUID(str(detail["transfer_id"])),
        notes=str(detail["notes"]),
        client_ref=f"{APPROVED}{approval_id}",
        actor_id=requested_by,
    ).transfer_id


def _unfreeze(session: Session, _approval_id: UUID, detail: Detail, requested_by: UUID) -> UUID:
    frozen_id = UUID(str(detail["account_id"]))
    agreed = Sums(int(detail["balance_drift_minor"]), int(detail["held_drift_minor"]))
    unfreeze(session, frozen_id=frozen_id, agreed=agreed, actor_id=requested_by)
    settle_alert(session, LEDGER_DRIFT, subject_id=frozen_id, now=clock.now(session))
    return frozen_id


def _claw_back(session: Session, _approval_id: UUID, detail: Detail, requested_by: UUID) -> UUID:
    return claw_back(
        session,
        transfer_id=UUID(str(detail["transfer_id"])),
        dispute_id=str(detail["dispute_id"]),
        amount=int(detail["amount_minor"]),
        reason=str(detail["notes"]),
        actor_id=requested_by,
        now=clock.now(session),
    )


def _write_off(session: Session, _approval_id: UUID, detail: Detail, requested_by: UUID) -> UUID:
    receivable_id = UUID(str(detail["receivable_id"]))
    write_off(
        session,
        receivable_id,
        amount=int(detail["amount_minor"]),
        reason=str(detail["notes"]),
        actor_id=requested_by,
        now=clock.now(session),
    )
    return receivable_id


def _kind(name: str, act: Callable[[Session, UUID, Detail, UUID], UUID]) -> ApprovalKind:
    return ApprovalKind(name, Permission.CREDIT_CORRECT, act)


ADJUSTMENT = _kind("credit.adjustment", _adjust)
REVERSAL = _kind("credit.reversal", _reverse)
UNFREEZE = _kind("credit.unfreeze", _unfreeze)
CLAW_BACK = _kind("credit.claw_back", _claw_back)
WRITE_OFF = _kind("credit.write_off", _write_off)
#: What moves credit and waits for a second person, by name.
KINDS: Kinds = {
    **movements.KINDS,
    **{kind.name: kind for kind in (ADJUSTMENT, REVERSAL, UNFREEZE, CLAW_BACK, WRITE_OFF)},
}


def ask_to_adjust(
    session: Session,
    caller: Principal,
    *,
    account_id: UUID,
    amount: int,
    reason: str,
    limits: Limits,
    now: datetime,
) -> UUID:
    """Ask for `amount` minor units to enter an account from outside, or to leave it if negative."""
    account(session, account_id)
    detail: Detail = {"account_id": str(account_id), "amount_minor": amount, "notes": reason}
    return _ask(session, ADJUSTMENT, caller, detail, limits, now)


def ask_to_reverse(
    session: Session,
    caller: Principal,
    *,
    transfer_id: UUID,
    reason: str,
    limits: Limits,
    now: datetime,
) -> UUID:
    """Ask for a transfer to be moved back; raises what speaks against it already."""
    row = check_reversible(session, transfer_id)
    detail: Detail = {
        "transfer_id": str(transfer_id),
        "account_id": str(row.target_id),
        "amount_minor": row.amount,
        "notes": reason,
    }
    return _ask(session, REVERSAL, caller, detail, limits, now)


def ask_to_unfreeze(
    session: Session,
    caller: Principal,
    *,
    account_id: UUID,
    reason: str,
    limits: Limits,
    now: datetime,
) -> UUID:
    """Ask to take the ledger's word for a frozen account; the drift of now is what is agreed to."""
    found = frozen_under_lock(session, account_id)
    detail: Detail = {
        "account_id": str(account_id),
        "balance_minor": found.ledger.balance,
        "held_minor": found.ledger.held,
        "balance_drift_minor": found.drift.balance,
        "held_drift_minor": found.drift.held,
        "notes": reason,
    }
    return _ask(session, UNFREEZE, caller, detail, limits, now)


def ask_to_claw_back(
    session: Session,
    caller: Principal,
    *,
    transfer_id: UUID,
    dispute_id: str,
    amount: int | None,
    reason: str,
    limits: Limits,
    now: datetime,
) -> UUID:
    """Ask for a disputed top-up to be taken back: one person could invent a dispute (EC-077).

    Raises what speaks against it already: `NotFound`, `NotDisputable`, `AlreadyReversed`,
    `BeyondTopUp`, `DisputeNameUsed`.
    """
    top_up = check_disputable(
        session, transfer_id=transfer_id, dispute_id=dispute_id, amount=amount
    )
    detail: Detail = {
        "transfer_id": str(transfer_id),
        "account_id": str(top_up.target_id),
        "dispute_id": dispute_id,
        "amount_minor": top_up.amount if amount is None else amount,
        "notes": reason,
    }
    return _ask(session, CLAW_BACK, caller, detail, limits, now)


def ask_to_write_off(
    session: Session,
    caller: Principal,
    *,
    receivable_id: UUID,
    amount: int | None,
    reason: str,
    limits: Limits,
    now: datetime,
) -> UUID:
    """Ask to forgive `amount` minor units of what is owed, or all of it; raises `OwesLess`."""
    owing = owing_row(session, receivable_id)
    if owing.owed < (amount or 1):
        raise OwesLess(owed_minor=owing.owed)
    detail: Detail = {
        "receivable_id": str(receivable_id),
        "account_id": str(owing.account_id),
        "amount_minor": amount or owing.owed,
        "notes": reason,
    }
    return _ask(session, WRITE_OFF, caller, detail, limits, now)


def _ask(
    session: Session,
    kind: ApprovalKind,
    caller: Principal,
    detail: Detail,
    limits: Limits,
    now: datetime,
) -> UUID:
    """The approval is the platform's own, whoever's account it is about."""
    return ask_for_approval(
        session, kind, caller, detail, agency_id=None, client_id=None, limits=limits, now=now
    )
