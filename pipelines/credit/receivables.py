"""What accounts owe, as pages show it."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

_OF_ACCOUNT = text("""
SELECT id, account_id, transfer_id, dispute_id, currency, claimed, taken, written_off,
    claimed - taken - written_off AS owed, reason, actor_id, settled_at, created_at
FROM receivables
WHERE account_id = :account AND (CAST(:before AS uuid) IS NULL OR id < :before)
ORDER BY id DESC LIMIT :limit
""")
_ALL = text("""
SELECT r.id, r.account_id, r.transfer_id, r.dispute_id, r.currency, r.claimed, r.taken,
    r.written_off, r.claimed - r.taken - r.written_off AS owed, r.reason, r.settled_at,
    r.created_at, t.kind, t.created_at AS moved_at
FROM receivables r LEFT JOIN transfers t ON t.id = r.transfer_id
WHERE (:with_settled OR r.settled_at IS NULL) AND (CAST(:before AS uuid) IS NULL OR r.id < :before)
ORDER BY r.id DESC LIMIT :limit
""")

# As `claw_back.collect` pays them: the oldest first, each to where its credit had come from.
_OPEN = text("""
SELECT r.claimed - r.taken - r.written_off AS owed, p.account_id AS back_to
FROM receivables r LEFT JOIN postings p ON p.transfer_id = r.transfer_id AND p.amount < 0
WHERE r.account_id = :account AND r.settled_at IS NULL ORDER BY r.id
""")


@dataclass(frozen=True, slots=True)
class Settling:
    """What an account pays of what it owes, in seconds and by itself; minor units."""

    paid: int = 0
    still_owed: int = 0
    #: By account that it goes back to, of those in this scope.
    back_to: dict[UUID, int] = field(default_factory=dict)


def settling(session: Session, account: Row[Any], *, brought: int = 0) -> Settling:
    """What the account of `read.account` pays once `brought` more has come in.

    Nothing leaves one that is frozen, and what jobs hold is not touched.
    """
    if account.restricted_at is None or account.frozen_at is not None:
        return Settling(still_owed=int(account.owed))
    free = max(0, account.balance + brought - account.held)
    paid, owed, back_to = 0, 0, dict[UUID, int]()
    for row in session.execute(_OPEN, {"account": account.id}):
        taken = int(row.owed if account.unlimited else min(row.owed, free - paid))
        paid, owed = paid + taken, owed + int(row.owed) - taken
        if row.back_to is not None:
            back_to[row.back_to] = back_to.get(row.back_to, 0) + taken
    return Settling(paid, owed, back_to)


def all_receivables(
    session: Session, *, with_settled: bool, before: UUID | None, limit: int
) -> list[Row[Any]]:
    """What every account of this scope owes, newest first, with the movement that was disputed."""
    values = {"with_settled": with_settled, "before": before, "limit": limit}
    return list(session.execute(_ALL, values))


def list_receivables(
    session: Session, account_id: UUID, *, before: UUID | None, limit: int
) -> list[Row[Any]]:
    """What was clawed back from an account, newest first, settled or not."""
    values = {"account": account_id, "before": before, "limit": limit}
    return list(session.execute(_OF_ACCOUNT, values))


def receivable_view(row: Row[Any]) -> dict[str, Any]:
    """One receivable; amounts in minor units."""
    return {
        "id": row.id,
        "account_id": row.account_id,
        "transfer_id": row.transfer_id,
        "dispute_id": row.dispute_id,
        "currency": row.currency,
        "claimed_minor": row.claimed,
        "taken_minor": row.taken,
        "written_off_minor": row.written_off,
        "owed_minor": row.owed,
        "reason": row.reason,
        "settled_at": row.settled_at,
        "created_at": row.created_at,
    }
