"""Correct the books: adjustments from and to outside, reversals, and an end of a freeze.

Nobody does any of this alone: `pipelines/approvals/corrections.py` asks a second person.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models.ledger import AccountKind, TransferKind
from pipelines.audit.record import record
from pipelines.credit.accounts import PLATFORM_ID, account_id
from pipelines.credit.drift import Sums, frozen_under_lock
from pipelines.credit.follow import follow, follow_movement
from pipelines.credit.read import account
from pipelines.credit.refusals import (
    AlreadyReversed,
    ClawedBack,
    DriftChanged,
    InsufficientCredit,
    NotReversible,
)
from pipelines.credit.transfer import Posted, lock_sides, move, transfer_row

#: A capture is taken back by undoing its job, a refund not at all, and a reversal is final.
REVERSIBLE = frozenset(
    {
        TransferKind.TOP_UP,
        TransferKind.ALLOCATION,
        TransferKind.RECALL,
        TransferKind.ADJUSTMENT,
        TransferKind.OPENING,
    }
)
_SETTLE = text("""
UPDATE accounts SET balance = :balance, held = :held, frozen_at = NULL WHERE id = :account
""")


def adjust(
    session: Session,
    *,
    target_id: UUID,
    amount: int,
    notes: str,
    client_ref: str,
    actor_id: UUID,
) -> Posted:
    """Move `amount` minor units from outside into a credit account, or out if it is negative.

    Raises `NotFound` and `InsufficientCredit`.
    """
    own = account(session, target_id)
    outside = account_id(session, PLATFORM_ID, currency=own.currency, kind=AccountKind.OUTSIDE)
    source, target = (outside, target_id) if amount > 0 else (target_id, outside)
    posted = _moved(
        session,
        TransferKind.ADJUSTMENT,
        source,
        target,
        abs(amount),
        owner_side=target_id,
        notes=notes,
        client_ref=client_ref,
        actor_id=actor_id,
    )
    record(
        session,
        "credit.adjusted",
        object_kind="transfer",
        object_id=posted.transfer_id,
        actor_id=actor_id,
        agency_id=own.agency_id,
        client_id=own.client_id,
        detail={"amount_minor": amount, "currency": own.currency},
    )
    return posted


def reverse(
    session: Session, *, transfer_id: UUID, notes: str, client_ref: str, actor_id: UUID
) -> Posted:
    """Move a transfer's amount back, once (EC-073).

    Raises what `check_reversible` does, and `InsufficientCredit`.
    """
    row = check_reversible(session, transfer_id)
    lock_sides(session, row.source_id, row.target_id)
    check_reversible(session, transfer_id)  # of what others did until we had the accounts
    posted = _moved(
        session,
        TransferKind.REVERSAL,
        row.target_id,
        row.source_id,
        row.amount,
        owner_side=row.target_id,
        notes=notes,
        client_ref=client_ref,
        actor_id=actor_id,
        reverses_id=transfer_id,
    )
    record(
        session,
        "credit.reversed",
        object_kind="transfer",
        object_id=posted.transfer_id,
        actor_id=actor_id,
        agency_id=row.agency_id,
        client_id=row.client_id,
        detail={
            "amount_minor": row.amount,
            "currency": row.currency,
            "reverses_id": str(transfer_id),
        },
    )
    return posted


def check_reversible(session: Session, transfer_id: UUID) -> Row[Any]:
    """The transfer with its two sides.

    Raises `NotFound`, `NotReversible`, `AlreadyReversed`, `ClawedBack`.
    """
    row = transfer_row(session, transfer_id)
    if TransferKind(row.kind) not in REVERSIBLE:
        raise NotReversible
    if row.is_reversed:
        raise AlreadyReversed
    if row.claimed:
        raise ClawedBack
    return row


def unfreeze(session: Session, *, frozen_id: UUID, agreed: Sums, actor_id: UUID) -> None:
    """Take the ledger's word for what an account has, as two people agreed, and unfreeze it.

    `agreed` is the drift that they saw: work that was under way may have moved both sides since.
    Raises what `frozen_under_lock` does, and `DriftChanged` when the drift is another by now.
    """
    found = frozen_under_lock(session, frozen_id)
    if found.drift != agreed:
        raise DriftChanged
    right = found.ledger
    values = {"account": frozen_id, "balance": right.balance, "held": right.held}
    session.execute(_SETTLE, values)
    follow(session, frozen_id)
    record(
        session,
        "credit.unfrozen",
        object_kind="account",
        object_id=frozen_id,
        actor_id=actor_id,
        agency_id=found.agency_id,
        client_id=found.client_id,
        detail={
            "balance_minor": [found.stored.balance, right.balance],
            "held_minor": [found.stored.held, right.held],
        },
    )


def _moved(
    session: Session,
    kind: TransferKind,
    source: UUID,
    target: UUID,
    amount: int,
    *,
    owner_side: UUID,
    notes: str,
    client_ref: str,
    actor_id: UUID,
    reverses_id: UUID | None = None,
) -> Posted:
    """Move it; the CHECK on the account forbids an overdraft and is explained here."""
    try:
        with session.begin_nested():
            posted = move(
                session,
                kind=kind,
                source=source,
                target=target,
                amount=amount,
                owner_side=owner_side,
                notes=notes,
                client_ref=client_ref,
                actor_id=actor_id,
                reverses_id=reverses_id,
            )
    except IntegrityError as error:
        if "ck_accounts_available" not in str(error.orig):
            raise
    else:
        follow_movement(session, (source, target))
        return posted
    row = account(session, source)
    raise InsufficientCredit.to_move(amount, balance=row.balance, held=row.held, is_back=True)
