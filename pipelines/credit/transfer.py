"""Move an amount between two accounts: one statement, two postings, balances after."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.base import new_id
from models.ledger import TransferKind


@dataclass(frozen=True, slots=True)
class Posted:
    """A transfer that was written; balances in minor units, after it."""

    transfer_id: UUID
    source_balance: int
    target_balance: int


# Locks both accounts in id order, moves the amount, frees `release` of the source's held credit,
# and writes the transfer with its two postings. The CHECKs on accounts refuse an overdraft.
_MOVE = text("""
WITH locked AS (
    SELECT id FROM accounts WHERE id IN (:source, :target) ORDER BY id FOR NO KEY UPDATE
), moved AS (
    UPDATE accounts a SET
        balance = a.balance + CASE WHEN a.id = :source THEN -:amount ELSE :amount END,
        held = a.held - CASE WHEN a.id = :source THEN :release ELSE 0 END
    FROM locked WHERE a.id = locked.id
    RETURNING a.id, a.balance, a.agency_id, a.client_id, a.currency
), written AS (
    INSERT INTO transfers (id, agency_id, client_id, kind, client_ref, amount, currency, job_id,
                           notes, actor_id)
    SELECT :transfer, m.agency_id, m.client_id, :kind, :client_ref, :amount, m.currency, :job_id,
           :notes, :actor_id
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
            "owner_side": owner_side or target,
        },
    ).all()
    after = {row.account_id: row.balance_after for row in rows}
    if set(after) != {source, target}:
        raise LookupError("a transfer needs two accounts that this scope can see")
    return Posted(identity, after[source], after[target])
