"""Jobs that an account pays for which owes: they stand, with what they hold, until it has paid (EC-077)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.credit.follow import follow

ACCOUNT_RESTRICTED = "account_restricted"

_PAID_BY = """SELECT j.id FROM holds h JOIN jobs j ON j.id = h.job_id
    WHERE h.account_id = :account AND h.state = 'open'"""
_STAND = text(f"""
WITH paid AS (
    SELECT id FROM jobs WHERE id IN ({_PAID_BY}) AND state IN ('queued', 'running')
      AND EXISTS (SELECT FROM accounts WHERE id = :account AND restricted_at IS NOT NULL)
    ORDER BY id FOR NO KEY UPDATE
)
UPDATE jobs SET state = 'paused', paused_at = :now, pause_reason = '{ACCOUNT_RESTRICTED}',
    paused_by = 'system', version = version + 1
FROM paid WHERE jobs.id = paid.id
RETURNING jobs.id
""")
# One that has not reached its time waits for it as before.
_GO_ON = text(f"""
WITH paid AS (
    SELECT id FROM jobs WHERE id IN ({_PAID_BY}) AND state = 'paused'
      AND pause_reason = '{ACCOUNT_RESTRICTED}'
      AND EXISTS (SELECT FROM accounts WHERE id = :account AND restricted_at IS NULL)
    ORDER BY id FOR NO KEY UPDATE
)
UPDATE jobs SET paused_at = NULL, pause_reason = NULL, paused_by = NULL, version = version + 1,
    state = CASE WHEN started_at IS NULL AND scheduled_for IS NOT NULL
                 THEN 'queued' ELSE 'running' END,
    started_at = CASE WHEN started_at IS NULL AND scheduled_for IS NOT NULL
                      THEN NULL ELSE coalesce(started_at, :now) END
FROM paid WHERE jobs.id = paid.id
RETURNING jobs.id
""")
# What is in somebody's hands is left alone: it asks for itself.
_WAKE = text("""
UPDATE tasks SET run_after = :now, rung_at = NULL WHERE id IN (
    SELECT id FROM tasks WHERE job_id = ANY(:jobs) AND state = 'ready'
      AND (run_after < :now OR postponed_for = :reason)
      AND (lease_until IS NULL OR lease_until <= :now)
    FOR UPDATE SKIP LOCKED)
""")


def stand(session: Session, account_id: UUID, now: datetime) -> None:
    """Pause what holds credit of an account that owes; nothing held is given back or issued.

    Of an account that owes nothing by now, no job stands.
    """
    if session.execute(_STAND, {"account": account_id, "now": now}).all():
        _look_again(session, account_id)


def go_on(session: Session, account_id: UUID, now: datetime) -> None:
    """Take up what stood for it, if it owes nothing; a job that a person paused stays so."""
    values = {"account": account_id, "now": now}
    if jobs := session.execute(_GO_ON, values).scalars().all():
        session.execute(_WAKE, {"jobs": list(jobs), "now": now, "reason": ACCOUNT_RESTRICTED})
        _look_again(session, account_id)


def _look_again(session: Session, account_id: UUID) -> None:
    """Who pays, or owes anew, before this commits cannot see what was changed here: a task does.

    The account is not locked for it: the jobs are, and other jobs may have to be after them.
    """
    follow(session, account_id)
