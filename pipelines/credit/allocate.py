"""Allocate credit one tier down, recall it one tier up, and top up the tree from outside."""

from collections.abc import Callable
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models.ledger import AccountKind, TransferKind
from pipelines.audit.record import record
from pipelines.credit.accounts import PLATFORM_ID, account_id, side
from pipelines.credit.refusals import InsufficientCredit
from pipelines.credit.rules import allocation_refusal, recall_refusal
from pipelines.credit.transfer import Posted, move

_AVAILABLE = text("SELECT balance, held FROM accounts WHERE id = :id")


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

    Raises `AllocationDirection`, `CurrencyMismatch`, `InsufficientCredit`, `NotFound`.
    """
    refusal = allocation_refusal(source=side(session, parent_id), target=side(session, child_id))
    if refusal is not None:
        raise refusal
    posted = _within_available(
        session,
        parent_id,
        amount,
        lambda: move(
            session,
            kind=TransferKind.ALLOCATION,
            source=parent_id,
            target=child_id,
            amount=amount,
            notes=notes,
            client_ref=client_ref,
            actor_id=actor_id,
        ),
    )
    _audit(session, "credit.allocated", posted, amount=amount, actor_id=actor_id)
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
    posted = _within_available(
        session,
        child_id,
        amount,
        lambda: move(
            session,
            kind=TransferKind.RECALL,
            source=child_id,
            target=parent_id,
            owner_side=child_id,
            amount=amount,
            notes=notes,
            client_ref=client_ref,
            actor_id=actor_id,
        ),
    )
    _audit(session, "credit.recalled", posted, amount=amount, actor_id=actor_id)
    return posted


def top_up_platform(
    session: Session, *, currency: str, amount: int, client_ref: str, actor_id: UUID | None
) -> Posted:
    """Credit enters the tree: from outside to the platform's credit account."""
    return move(
        session,
        kind=TransferKind.TOP_UP,
        source=account_id(session, PLATFORM_ID, currency=currency, kind=AccountKind.OUTSIDE),
        target=account_id(session, PLATFORM_ID, currency=currency),
        amount=amount,
        client_ref=client_ref,
        actor_id=actor_id,
    )


def _within_available(
    session: Session, account: UUID, amount: int, moving: Callable[[], Posted]
) -> Posted:
    """Run a movement and explain the account's CHECK when it forbids the overdraft."""
    before = session.execute(_AVAILABLE, {"id": account}).one()
    try:
        with session.begin_nested():
            return moving()
    except IntegrityError as error:
        if getattr(error.orig, "diag", None) and (
            error.orig.diag.constraint_name == "ck_accounts_available"  # type: ignore[union-attr]
        ):
            raise InsufficientCredit(
                required_minor=amount,
                available_minor=before.balance - before.held,
                held_minor=before.held,
            ) from None
        raise


def _audit(session: Session, action: str, posted: Posted, *, amount: int, actor_id: UUID) -> None:
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
        detail={"amount_minor": amount, "currency": owner.currency},
    )
