"""The credit accounts a scope can see, as a tree from the top down."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.credit.follow import IS_USED, SHORTAGE

#: A page shows this many accounts; a larger tree is read through the API.
ACCOUNTS_SHOWN_MAX = 500

_ACCOUNTS = text(f"""
SELECT a.id, a.parent_id, a.tier, a.currency, a.balance, a.held, a.unlimited, a.frozen_at,
    a.restricted_at,
    {SHORTAGE} AS shortage, {IS_USED} AS is_used,
    CASE WHEN p.state = 'paused' THEN 1 WHEN a.tier = 'client' THEN (
        SELECT count(*) FROM campaigns d WHERE d.client_id = a.owner_id
          AND d.budget_mode = 'shared' AND d.state = 'paused') ELSE 0 END AS paused,
    coalesce(p.name, c.name, g.name, 'Platform') AS name, coalesce(-s.balance, 0) AS spent_signed
FROM accounts a
LEFT JOIN accounts s ON s.owner_id = a.owner_id AND s.kind = 'spent' AND s.currency = a.currency
LEFT JOIN agencies g ON g.id = a.owner_id
LEFT JOIN clients c ON c.id = a.owner_id
LEFT JOIN campaigns p ON p.id = a.owner_id
WHERE a.kind = 'credit' ORDER BY name, a.currency, a.id LIMIT :limit
""")


@dataclass(frozen=True, slots=True)
class Branch:
    """One account with its place in the tree; amounts in minor units."""

    id: UUID
    name: str
    tier: str
    depth: int
    currency: str
    available: int
    held: int
    spent: int
    unlimited: bool
    frozen_at: datetime | None
    restricted_at: datetime | None
    #: As `credit.follow.SHORTAGE` counts it.
    shortage: int
    #: Whether anything ever moved in it.
    is_used: bool
    #: Campaigns that draw on it and are paused.
    paused: int


def credit_tree(session: Session) -> list[Branch]:
    """Accounts this scope can see, each below its parent; a parent out of sight is no parent."""
    rows = list(session.execute(_ACCOUNTS, {"limit": ACCOUNTS_SHOWN_MAX}))
    seen = {row.id for row in rows}
    children: dict[UUID | None, list[Row[Any]]] = {}
    for row in rows:
        parent = row.parent_id if row.parent_id in seen else None
        children.setdefault(parent, []).append(row)
    return list(_walk(children.get(None, ()), children, 0))


def _walk(
    rows: Iterable[Row[Any]], children: dict[UUID | None, list[Row[Any]]], depth: int
) -> Iterator[Branch]:
    for row in rows:
        yield Branch(
            id=row.id,
            name=row.name,
            tier=row.tier,
            depth=depth,
            currency=row.currency,
            available=int(row.balance - row.held),
            held=int(row.held),
            spent=abs(int(row.spent_signed)),
            unlimited=row.unlimited,
            frozen_at=row.frozen_at,
            restricted_at=row.restricted_at,
            shortage=row.shortage,
            is_used=row.is_used,
            paused=row.paused,
        )
        yield from _walk(children.get(row.id, ()), children, depth + 1)
