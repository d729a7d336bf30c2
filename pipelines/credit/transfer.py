"""Move an amount between two accounts: one statement, two postings, balances after."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.base import new_id
from models.ledger import TransferKind
from pipelines.errors import NotFound


@dataclass(frozen=True, slots=True)
class Posted:
    """A transfer that was written; balances in minor units, after it."""

    transfer_id: UUID
    source_balance: int
    target_balance: int


#: Credit that is given anew: what the account holds then is the measure of later shortage. What
#: is taken back from it was never there to be spent.
FILLING = frozenset(
    {
        TransferKind.TOP_UP,
        TransferKind.ALLOCATION,
        TransferKind.ADJUSTMENT,
        TransferKind.OPENING,
    }
)
EMPTYING = frozenset({TransferKind.RECALL, TransferKind.CLAW_BACK})
_LOCK = text("""
SELECT id, balance, held, unlimited, frozen_at, restricted_at FROM accounts
WHERE id IN (:one, :other) ORDER BY id FOR NO KEY UPDATE
""")
_TRANSFER = text("""
SELECT t.id, t.kind, t.amount, t.currency, t.agency_id, t.client_id,
    s.account_id AS source_id, r.account_id AS target_id, a.kind AS target_kind,
    EXISTS (SELECT FROM transfers v WHERE v.reverses_id = t.id) AS is_reversed,
    (SELECT coalesce(sum(claimed), 0) FROM receivables WHERE transfer_id = t.id) AS claimed
FROM transfers t
JOIN postings s ON s.transfer_id = t.id AND s.amount < 0
JOIN postings r ON r.transfer_id = t.id AND r.amount > 0
JOIN accounts a ON a.id = r.account_id
WHERE t.id = :transfer
""")
# Locks both accounts in id order, moves the amount, frees `release` of the source's held credit,
# and writes the transfer with its two postings. The CHECKs on accounts refuse an overdraft.
_MOVE = text("""
WITH locked AS (
    SELECT id FROM accounts WHERE id IN (:source, :target) ORDER BY id FOR NO KEY UPDATE
), moved AS (
    UPDATE accounts a SET
        balance = a.balance + CASE WHEN a.id = :source THEN -:amount ELSE :amount END,
        held = a.held - CASE WHEN a.id = :source THEN :release ELSE 0 END,
        full_minor = CASE
            WHEN a.kind <> 'credit' THEN 0
            WHEN a.id = :target AND :fills THEN a.balance + :amount
            WHEN a.id = :target THEN greatest(a.full_minor, a.balance + :amount)
            WHEN :empties THEN greatest(a.full_minor - :amount, a.balance - :amount)
            ELSE a.full_minor END
    FROM locked WHERE a.id = locked.id
    RETURNING a.id, a.balance, a.agency_id, a.client_id, a.currency
), written AS (
    INSERT INTO transfers (id, agency_id, client_id, kind, client_ref, amount, currency, job_id,
                           notes, actor_id, reverses_id)
    SELECT :transfer, m.agency_id, m.client_id, :kind, :client_ref, :amount, m.currency, :job_id,
           :notes, :actor_id, :reverses_id
    FROM moved m WHERE m.id = :owner_side
    RETURNING id
)
INSERT INTO postings (transfer_id, account_id, agency_id, client_id, amount, currency,
                      balance_after)
SELECT written.id, m.id, m.agency_id, m.client_id,
       CASE WHEN m.id = :source THEN -:amount ELSE :amount END, m.currency, m.balance
FROM moved m, written
RETURNING account_id, balance_after
""")


def lock_sides(session: Session, one: UUID, other: UUID) -> dict[UUID, Row[Any]]:
    """Lock two accounts, by id as everybody does; what they have and what stops them."""
    return {row.id: row for row in session.execute(_LOCK, {"one": one, "other": other})}


def transfer_row(session: Session, transfer_id: UUID) -> Row[Any]:
    """A transfer with its two sides, and how much of it was moved back or claimed; or `NotFound`."""
    row = session.execute(_TRANSFER, {"transfer": transfer_id}).one_or_none()
    if row is None:
        raise NotFound
    return row


def move(
    session: Session,
    *,
    kind: TransferKind,
    source: UUID,
    target: UUID,
    amount: int,
    client_ref: str,
    owner_side: UUID | None = None,
    release: int = 0,
    job_id: UUID | None = None,
    notes: str = "",
    actor_id: UUID | None = None,
    transfer_id: UUID | None = None,
    reverses_id: UUID | None = None,
) -> Posted:
    """Move `amount` minor units from `source` to `target` and free `release` of held credit.

    The transfer carries the tenant of `owner_side` (the target by default). `client_ref` is
    unique: a repeated movement raises the constraint `uq_transfers_client_ref`.
    """
    identity = transfer_id or new_id()
    rows = session.execute(
        _MOVE,
        {
            "source": source,
            "target": target,
            "amount": amount,
            "release": release,
            "transfer": identity,
            "kind": kind.value,
            "client_ref": client_ref,
            "job_id": job_id,
            "notes": notes,
            "actor_id": actor_id,
            "reverses_id": reverses_id,
            "owner_side": owner_side or target,
            "fills": kind in FILLING,
            "empties": kind in EMPTYING,
        },
    ).all()
    after = {row.account_id: row.balance_after for row in rows}
    if set(after) != {source, target}:
        raise LookupError("a transfer needs two accounts that this scope can see")
    return Posted(identity, after[source], after[target])
