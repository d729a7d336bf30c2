"""Disputes of top-ups: claw one back, and look at what is owed."""

from typing import Any
from uuid import UUID

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.scope import PLATFORM
from pipelines.credit.claw_back import claw_back
from pipelines.wiring import House
from tests.driving import rows
from tests.seeding import ACTOR


def top_up_of(house: House, account_id: UUID) -> UUID:
    """The newest movement that brought credit into an account."""
    found = rows(
        house,
        "SELECT p.transfer_id FROM postings p JOIN transfers t ON t.id = p.transfer_id "
        "WHERE p.account_id = :id AND p.amount > 0 "
        "AND t.kind IN ('top_up', 'allocation', 'adjustment', 'opening') ORDER BY p.id DESC LIMIT 1",
        id=account_id,
    )
    return UUID(str(found[0].transfer_id))


def dispute(
    house: House, transfer_id: UUID, amount: int | None = None, *, name: str | None = None
) -> UUID:
    with scoped_transaction(house.sessions, PLATFORM) as session:
        return claw_back(
            session,
            transfer_id=transfer_id,
            dispute_id=name or f"dp_{new_id().hex}",
            amount=amount,
            reason="chargeback",
            actor_id=ACTOR,
            now=clock.now(session),
        )


def owed(house: House, receivable_id: UUID) -> tuple[int, int, int, bool]:
    """Claimed, taken, written off, and whether it is settled."""
    (row,) = rows(house, "SELECT * FROM receivables WHERE id = :id", id=receivable_id)
    return row.claimed, row.taken, row.written_off, row.settled_at is not None


def account(house: House, account_id: UUID) -> Any:
    (row,) = rows(
        house,
        "SELECT balance, held, restricted_at IS NOT NULL AS restricted FROM accounts "
        "WHERE id = :id",
        id=account_id,
    )
    return row
