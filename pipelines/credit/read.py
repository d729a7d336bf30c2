"""Credit accounts and their movements as pages show them."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.errors import NotFound

_ACCOUNTS = """
SELECT a.id, a.owner_id, a.tier, a.currency, a.balance, a.held, a.unlimited, a.parent_id,
    a.agency_id, a.client_id, a.frozen_at, a.restricted_at, s.balance AS spent,
    (SELECT coalesce(sum(r.claimed - r.taken - r.written_off), 0) FROM receivables r
     WHERE r.account_id = a.id AND r.settled_at IS NULL) AS owed,
    coalesce(c.name, l.name, g.name, 'Platform') AS name
FROM accounts a
LEFT JOIN accounts s ON s.owner_id = a.owner_id AND s.currency = a.currency AND s.kind = 'spent'
LEFT JOIN campaigns c ON c.id = a.owner_id
LEFT JOIN clients l ON l.id = a.owner_id
LEFT JOIN agencies g ON g.id = a.owner_id
WHERE a.kind = 'credit'
"""
_ALL = text(
    _ACCOUNTS
    + """ AND (CAST(:after AS uuid) IS NULL OR a.id > :after)
ORDER BY a.id LIMIT :limit
"""
)
_ONE = text(_ACCOUNTS + " AND a.id = :account")
_BELOW = text(_ACCOUNTS + " AND a.parent_id = :account ORDER BY name, a.id LIMIT :limit")
_OF_OWNER = text(_ACCOUNTS + " AND a.owner_id = :owner ORDER BY a.currency")
_NAMES = text("""
SELECT a.id, a.currency, coalesce(c.name, l.name, g.name, 'Platform')
    || CASE a.kind WHEN 'credit' THEN '' ELSE ' (' || a.kind || ')' END AS name
FROM accounts a
LEFT JOIN campaigns c ON c.id = a.owner_id
LEFT JOIN clients l ON l.id = a.owner_id
LEFT JOIN agencies g ON g.id = a.owner_id
WHERE a.id = ANY(:ids)
""")
_POSTINGS = text("""
SELECT p.id, p.transfer_id, p.amount, p.balance_after, p.currency, p.created_at, t.kind, t.notes,
    t.job_id, t.actor_id
FROM postings p LEFT JOIN transfers t ON t.id = p.transfer_id
WHERE p.account_id = :account AND (CAST(:before AS bigint) IS NULL OR p.id < :before)
ORDER BY p.id DESC LIMIT :limit
""")
_BOTH_SIDES = text("""
SELECT p.id, p.transfer_id, p.account_id, p.amount, p.balance_after, p.currency, p.created_at
FROM postings p WHERE p.transfer_id = :transfer ORDER BY p.amount
""")


def list_accounts(session: Session, *, after: UUID | None, limit: int) -> list[Row[Any]]:
    """Credit accounts this scope can see, oldest first: parents stand before their children."""
    return list(session.execute(_ALL, {"after": after, "limit": limit}))


def account(session: Session, identity: UUID) -> Row[Any]:
    """A credit account, or `NotFound`."""
    row = session.execute(_ONE, {"account": identity}).one_or_none()
    if row is None:
        raise NotFound
    return row


def accounts_below(session: Session, identity: UUID, *, limit: int) -> list[Row[Any]]:
    """The accounts right below one, by name."""
    return list(session.execute(_BELOW, {"account": identity, "limit": limit}))


def accounts_of(session: Session, owner_id: UUID) -> list[Row[Any]]:
    """The credit accounts of one tenant, one for each currency."""
    return list(session.execute(_OF_OWNER, {"owner": owner_id}))


def account_view(row: Row[Any]) -> dict[str, Any]:
    """The account of api.md; amounts in minor units."""
    return {
        "id": row.id,
        "owner_id": row.owner_id,
        "name": row.name,
        "tier": row.tier,
        "parent_id": row.parent_id,
        "currency": row.currency,
        "balance_minor": row.balance,
        "held_minor": row.held,
        "available_minor": row.balance - row.held,
        "spent_minor": row.spent or 0,
        "unlimited": row.unlimited,
        "frozen_at": row.frozen_at,
        "restricted_at": row.restricted_at,
        "owed_minor": int(row.owed),
    }


def list_postings(
    session: Session, account_id: UUID, *, before: int | None, limit: int
) -> list[Row[Any]]:
    """The movements of an account, newest first."""
    values = {"account": account_id, "before": before, "limit": limit}
    return list(session.execute(_POSTINGS, values))


def posting_view(row: Row[Any]) -> dict[str, Any]:
    """One movement; the amount is negative where credit left the account."""
    return {
        "id": str(row.id),
        "transfer_id": row.transfer_id,
        "kind": row.kind,
        "amount_minor": row.amount,
        "balance_after_minor": row.balance_after,
        "currency": row.currency,
        "notes": row.notes,
        "job_id": row.job_id,
        "actor_id": row.actor_id,
        "created_at": row.created_at,
    }


def transfer_view(session: Session, transfer_id: UUID) -> dict[str, Any]:
    """An allocation as api.md shows it: both sides, with the balances right after it."""
    sides = session.execute(_BOTH_SIDES, {"transfer": transfer_id}).all()
    if len(sides) != 2:
        raise NotFound
    source, target = sides
    return {
        "transfer_id": transfer_id,
        "out_transaction": _side(source),
        "in_transaction": _side(target),
        "from_account_balance_minor": source.balance_after,
        "to_account_balance_minor": target.balance_after,
    }


def _side(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "account_id": row.account_id,
        "amount_minor": row.amount,
        "balance_after_minor": row.balance_after,
        "currency": row.currency,
        "created_at": row.created_at,
    }


def account_names(session: Session, ids: Iterable[UUID]) -> dict[UUID, tuple[str, str]]:
    """The name of each account's owner and its currency, of those in this scope.

    What is no credit account says its kind behind the name: an approval may be about any.
    """
    rows = session.execute(_NAMES, {"ids": list(ids)})
    return {row.id: (row.name, row.currency) for row in rows}
