"""Allocate credit one tier down, recall it one tier up, and top up the tree from outside."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models.ledger import AccountKind, TransferKind
from pipelines.audit.record import record
from pipelines.credit.accounts import PLATFORM_ID, account_id, side
from pipelines.credit.follow import follow_movement
from pipelines.credit.refusals import (
    AccountFrozen,
    AccountRestricted,
    InsufficientCredit,
    MovementNameUsed,
)
from pipelines.credit.rules import allocation_refusal, recall_refusal
from pipelines.credit.transfer import Posted, lock_sides, move

_EARLIER = text("""
SELECT t.id, t.kind, t.amount, s.account_id AS source_id, s.balance_after AS source_balance,
    r.account_id AS target_id, r.balance_after AS target_balance
FROM transfers t
JOIN postings s ON s.transfer_id = t.id AND s.amount < 0
JOIN postings r ON r.transfer_id = t.id AND r.amount > 0
WHERE t.client_ref = :client_ref
""")


@dataclass(frozen=True, slots=True)
class _Movement:
    """What a caller's name stands for; the same name may not stand for anything else."""

    kind: TransferKind
    source: UUID
    target: UUID
    amount: int
    client_ref: str


def allocate(
    session: Session,
    *,
    parent_id: UUID,
    child_id: UUID,
    amount: int,
    notes: str,
    client_ref: str,
    actor_id: UUID,
) -> Posted:
    """Move credit from a parent account to its direct child (S4-024..028).

    The same `client_ref` again gives the first movement. Raises `AllocationDirection`,
    `CurrencyMismatch`, `InsufficientCredit`, `MovementNameUsed`, `NotFound`, `AccountFrozen`,
    and `AccountRestricted` where the credit would leave an account that owes.
    """
    refusal = allocation_refusal(source=side(session, parent_id), target=side(session, child_id))
    if refusal is not None:
        raise refusal
    movement = _Movement(TransferKind.ALLOCATION, parent_id, child_id, amount, client_ref)
    posted, is_first = _move_once(
        session, movement, owner_side=child_id, notes=notes, actor_id=actor_id
    )
    if is_first:
        balance = [posted.target_balance - amount, posted.target_balance]
        _audit(session, "credit.allocated", posted, amount, balance, actor_id)
    return posted


def recall(
    session: Session,
    *,
    parent_id: UUID,
    child_id: UUID,
    amount: int,
    notes: str,
    client_ref: str,
    actor_id: UUID,
) -> Posted:
    """The parent takes unused credit back from its direct child; refusals as for `allocate`."""
    refusal = recall_refusal(parent=side(session, parent_id), child=side(session, child_id))
    if refusal is not None:
        raise refusal
    movement = _Movement(TransferKind.RECALL, child_id, parent_id, amount, client_ref)
    posted, is_first = _move_once(
        session, movement, owner_side=child_id, notes=notes, actor_id=actor_id
    )
    if is_first:
        balance = [posted.source_balance + amount, posted.source_balance]
        _audit(session, "credit.recalled", posted, amount, balance, actor_id)
    return posted


def top_up_platform(
    session: Session, *, currency: str, amount: int, client_ref: str, actor_id: UUID | None
) -> Posted:
    """Credit enters the tree: from outside to the platform's credit account."""
    posted = move(
        session,
        kind=TransferKind.TOP_UP,
        source=account_id(session, PLATFORM_ID, currency=currency, kind=AccountKind.OUTSIDE),
        target=account_id(session, PLATFORM_ID, currency=currency),
        amount=amount,
        client_ref=client_ref,
        actor_id=actor_id,
    )
    balance = [posted.target_balance - amount, posted.target_balance]
    _audit(session, "credit.topped_up", posted, amount, balance, actor_id)
    return posted


def is_made(session: Session, client_ref: str) -> bool:
    """Whether a movement of this name was made."""
    return session.execute(_EARLIER, {"client_ref": client_ref}).one_or_none() is not None


def _move_once(
    session: Session, movement: _Movement, *, owner_side: UUID, notes: str, actor_id: UUID
) -> tuple[Posted, bool]:
    """Run a movement, or find the one that has its name; True if it was made now.

    The CHECK on the account forbids an overdraft and is explained here.
    """
    if (made := _made_earlier(session, movement)) is not None:
        return made, False
    locked = lock_sides(session, movement.source, movement.target)
    if any(row.frozen_at is not None for row in locked.values()):
        raise AccountFrozen
    before = locked[movement.source]
    if before.restricted_at is not None:
        raise AccountRestricted
    try:
        with session.begin_nested():
            posted = move(
                session,
                kind=movement.kind,
                source=movement.source,
                target=movement.target,
                owner_side=owner_side,
                amount=movement.amount,
                notes=notes,
                client_ref=movement.client_ref,
                actor_id=actor_id,
            )
        follow_movement(session, (movement.source, movement.target))
        return posted, True
    except IntegrityError as error:
        diagnosis = getattr(error.orig, "diag", None)
        broken = diagnosis.constraint_name if diagnosis is not None else None
        if broken == "uq_transfers_client_ref":
            if (made := _made_earlier(session, movement)) is not None:
                return made, False
            raise MovementNameUsed from None
        if broken != "ck_accounts_available":
            raise
    # A repeat that came second fails for want of credit when the first took the last of it.
    if (made := _made_earlier(session, movement)) is not None:
        return made, False
    raise InsufficientCredit.to_move(
        movement.amount,
        balance=before.balance,
        held=before.held,
        is_back=movement.kind is TransferKind.RECALL,
    )


def _made_earlier(session: Session, movement: _Movement) -> Posted | None:
    """What the first movement of this name did; `MovementNameUsed` if it was another one."""
    row = session.execute(_EARLIER, {"client_ref": movement.client_ref}).one_or_none()
    if row is None:
        return None
    first = _Movement(
        TransferKind(row.kind), row.source_id, row.target_id, row.amount, movement.client_ref
    )
    if first != movement:
        raise MovementNameUsed
    return Posted(row.id, row.source_balance, row.target_balance)


def _audit(
    session: Session,
    action: str,
    posted: Posted,
    amount: int,
    balance: list[int],
    actor_id: UUID | None,
) -> None:
    """One entry for whose account it is, with its balance before and after."""
    owner = session.execute(
        text("SELECT agency_id, client_id, currency FROM transfers WHERE id = :id"),
        {"id": posted.transfer_id},
    ).one()
    record(
        session,
        action,
        object_kind="transfer",
        object_id=posted.transfer_id,
        actor_id=actor_id,
        agency_id=owner.agency_id,
        client_id=owner.client_id,
        detail={"amount_minor": amount, "currency": owner.currency, "balance_minor": balance},
    )
