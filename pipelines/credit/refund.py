"""Give captured credit back to the account that paid: from its spent twin, in one transfer."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.ledger import TransferKind
from pipelines.credit.follow import follow_movement
from pipelines.credit.transfer import move

_NAMES = {TransferKind.REFUND: "undo", TransferKind.REPLACEMENT: "replacement"}
_SPENT_OF = text("""
SELECT s.id FROM accounts c JOIN accounts s
  ON s.owner_id = c.owner_id AND s.currency = c.currency AND s.kind = 'spent'
WHERE c.id = :account
""")


def give_back(
    session: Session,
    *,
    account_id: UUID,
    amount: int,
    job_id: UUID,
    transfer_id: UUID,
    kind: TransferKind,
) -> None:
    """Move `amount` minor units back to the credit account, as a refund or for a replacement.

    `job_id` is the job that undoes or replaces. The transfer has the id `transfer_id`, which the
    provisions that it is about already carry.
    """
    spent_id = session.execute(_SPENT_OF, {"account": account_id}).scalar_one()
    move(
        session,
        kind=kind,
        source=spent_id,
        target=account_id,
        amount=amount,
        client_ref=f"{_NAMES[kind]}:{transfer_id.hex}",
        job_id=job_id,
        transfer_id=transfer_id,
    )
    follow_movement(session, (account_id,))
