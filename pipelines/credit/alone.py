"""How much credit one person moves alone: what wants a fresh proof, and what a second person.

Every door that moves a person's credit asks here (SEC-04, SEC-31).
"""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.locks import Namespace, wait_for_lock
from pipelines.access.principals import Principal
from pipelines.access.proofs import require_fresh_proof
from pipelines.credit.rules import reaches
from pipelines.limits import Limits

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


def take_turns(session: Session, caller: Principal) -> None:
    """Let one person's movements follow each other, so that each sees the sum of those before.

    Before any row is locked, like every advisory lock.
    """
    wait_for_lock(session, Namespace.CREDIT_MOVED, str(caller.actor_id))


def may_move_alone(
    session: Session, caller: Principal, *, account_id: UUID, amount: int, limits: Limits
) -> bool:
    """Whether `amount` minor units of this account's currency may move without a second person.

    Counted with all the caller moved alone within 24 hours, in the caller's scope, which sees every
    movement it could have made. Whoever moves on this answer has taken turns before (`take_turns`).
    Raises `StepUpRequired`.
    """
    values = {"actor": caller.actor_id, "account": account_id, "approved": APPROVED}
    moved = int(session.execute(_MOVED, values).scalar_one())
    if reaches(limits.step_up_allocation_minor, amount=amount, moved=moved):
        require_fresh_proof(caller, seconds=limits.step_up_seconds)
    return not reaches(limits.second_person_allocation_minor, amount=amount, moved=moved)
