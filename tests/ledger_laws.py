"""The laws of the books as one statement, and the tree of one client as the database has it."""

from typing import Any
from uuid import UUID

from sqlalchemy import text

from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.reconciliation.invariants import INVARIANTS
from pipelines.wiring import House

#: Two sides that sum to zero; balance and held are sums; nobody below zero; nothing made or lost;
#: debts are what transfers say, and who owes is restricted.
SIX = {"transfers-balance", "balances", "held", "bounded", "zero-sum", "receivables"}
#: And each account's postings count up to its balance, one after the other.
_CHAIN = """
SELECT 'posting ' || p.id FROM (
    SELECT id, balance_after, sum(amount) OVER (PARTITION BY account_id ORDER BY id) AS run
    FROM postings) p WHERE p.balance_after <> p.run
"""
_LAWS = text(
    " UNION ALL ".join(
        f"SELECT * FROM ({sql}) v (line)"
        for sql in (_CHAIN, *(one.violations for one in INVARIANTS if one.id in SIX))
    )
)
_TREE = text("""
SELECT a.tier, a.id, a.balance, a.held, coalesce(s.balance, 0) AS spent,
    a.restricted_at IS NOT NULL AS restricted,
    (SELECT coalesce(sum(claimed - taken - written_off), 0) FROM receivables
     WHERE account_id = a.id) AS owed
FROM accounts a
LEFT JOIN accounts s ON s.owner_id = a.owner_id AND s.kind = 'spent' AND s.currency = a.currency
WHERE a.kind = 'credit' AND a.currency = 'USD'
  AND (a.agency_id = :agency OR a.tier = 'platform')
""")


def broken_laws(house: House) -> list[str]:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return list(session.execute(_LAWS, {"job": None}).scalars())


def tree_of(house: House, agency_id: UUID) -> dict[str, Any]:
    """By tier: balance, held, spent, owed, restricted."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return {row.tier: row for row in session.execute(_TREE, {"agency": agency_id})}
