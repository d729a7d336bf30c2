"""How much credit one person moved within a day without a second one (SEC-31)."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.locks import Namespace, wait_for_lock

#: What a second person agreed to carries this name (`client_ref`), and is not counted.
APPROVED = "approval:"
#: The index `ix_transfers_moved` finds them: movements that people make are few.
_MOVED = text("""
SELECT coalesce(sum(amount), 0) FROM transfers
WHERE actor_id = :actor AND kind IN ('allocation', 'recall')
  AND created_at > now() - interval '24 hours'
  AND currency = (SELECT currency FROM accounts WHERE id = :account)
  AND NOT starts_with(client_ref, :approved)
""")


def moved_alone(session: Session, actor_id: UUID, *, account_id: UUID) -> int:
    """Minor units that this person moved within 24 hours, in the currency of `account_id`.

    Counted in the caller's scope, which sees every movement it could have made.
    """
    values = {"actor": actor_id, "account": account_id, "approved": APPROVED}
    return int(session.execute(_MOVED, values).scalar_one())


def take_turns(session: Session, actor_id: UUID) -> None:
    """Let one person's movements follow each other, so that each sees the sum of those before."""
    wait_for_lock(session, Namespace.CREDIT_MOVED, str(actor_id))
