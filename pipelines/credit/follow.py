"""What follows when an account's credit has moved: a task, only where something hangs on it."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models import clock
from pipelines.credit.hold import PAYS
from pipelines.queue.defer import defer
from pipelines.queue.kinds import FOLLOW_CREDIT

#: SQL: how short account `a` is of what it held when credit last came in: 0 not, 1 at most 20 % is
#: left, 2 at most 10 %, 3 at most 1 %. The platform fills its own account as it needs.
SHORTAGE = """CASE WHEN a.unlimited OR a.tier = 'platform' OR a.full_minor = 0 THEN 0
    WHEN a.balance <= a.full_minor / 100 THEN 3
    WHEN a.balance <= a.full_minor / 10 THEN 2
    WHEN a.balance <= a.full_minor / 5 THEN 1 ELSE 0 END"""
#: SQL: whether credit ever came into account `a` or left it; what is empty may have been full once.
IS_USED = """(a.balance <> 0 OR a.full_minor <> 0
    OR EXISTS (SELECT FROM postings m WHERE m.account_id = a.id))"""
# Told of what is no longer so, or somebody waits for credit: a job, a campaign without any, or who
# is owed; or a job stands for an account that owed.
_HANGS_ON_IT = f"""(a.told_level <> {SHORTAGE} OR a.restricted_at IS NOT NULL
  OR EXISTS (SELECT FROM campaigns c WHERE c.client_id = a.client_id
             AND c.pause_reason = 'credit_exhausted')
  OR EXISTS (SELECT FROM jobs j WHERE j.client_id = a.client_id
             AND j.state = 'paused'
             AND j.pause_reason IN ('no_credit', 'account_restricted')))"""
_MOVED = text(f"""
SELECT a.id FROM accounts a WHERE a.id = ANY(:accounts) AND a.kind = 'credit'
  AND ({_HANGS_ON_IT} OR (a.balance = 0 AND a.client_id IS NOT NULL))
""")
# A job that never held anything may have been what others waited behind.
_DRAWN = text(f"""
SELECT a.id FROM accounts a WHERE a.id = coalesce(
    (SELECT h.account_id FROM holds h WHERE h.job_id = :job AND h.round = :round),
    (SELECT a.id FROM jobs j JOIN campaigns c ON c.id = j.campaign_id
     JOIN accounts a ON {PAYS} AND a.currency = j.currency WHERE j.id = :job))
  AND ({_HANGS_ON_IT} OR (a.balance < :cheapest AND NOT a.unlimited))
""")


def follow_movement(session: Session, accounts: Sequence[UUID]) -> None:
    """After credit moved between accounts, whose rows this transaction has locked.

    Whoever pauses for want of credit does so under the account's lock, so that the pause is seen
    here or this movement is seen there.
    """
    for row in session.execute(_MOVED, {"accounts": list(accounts)}).all():
        follow(session, row.id)


def follow_job(session: Session, job_id: UUID, *, round_number: int, cheapest_minor: int) -> None:
    """After a round of a job ended: what it drew on may be short, and what it gave back may help.

    Or it waited for credit before others, which it does no more.
    """
    values = {"job": job_id, "round": round_number, "cheapest": cheapest_minor}
    for row in session.execute(_DRAWN, values).all():
        follow(session, row.id)


def follow(session: Session, account_id: UUID) -> None:
    """Have somebody look at what hangs on the account.

    Many may ask: a task that is under way may have looked before this movement.
    """
    defer(session, FOLLOW_CREDIT, args={"account_id": str(account_id)}, now=clock.now(session))
