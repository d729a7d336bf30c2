"""Cover as much of a job as its payer's credit reaches, item by item in file order (EC-054)."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.base import new_id
from pipelines.audit.record import record
from pipelines.credit.hold import PAYS
from pipelines.jobs.layout import release_first_chunks
from pipelines.limits import Limits

#: SQL: jobs `j` that wait for the credit of account `a`.
WAITING = f"""jobs j JOIN campaigns c ON c.id = j.campaign_id
JOIN accounts a ON {PAYS} AND a.currency = j.currency
WHERE j.state = 'paused' AND j.pause_reason = 'no_credit'"""
# Chunks before the account, as the lock order wants: an order of a chunk that waits may end.
_LOCK_CHUNKS = text("""
SELECT number FROM chunks WHERE job_id = :job AND state = 'waiting'
ORDER BY number LIMIT :chunks FOR NO KEY UPDATE
""")
# A round that has a hold goes on with it and its account.
_LOCK_PAYER = text(f"""
SELECT a.id, a.balance - a.held AS available, a.unlimited,
    a.frozen_at IS NOT NULL OR a.restricted_at IS NOT NULL AS is_stopped
FROM accounts a
WHERE a.id = coalesce(
    (SELECT h.account_id FROM holds h WHERE h.job_id = :job AND h.round = :round),
    (SELECT a.id FROM campaigns c JOIN accounts a ON {PAYS}
     WHERE c.id = :campaign AND a.currency = :currency))
FOR NO KEY UPDATE
""")
_OLDER = text(f"""
SELECT EXISTS (SELECT FROM {WAITING} AND a.id = :account AND j.client_id = :client AND j.id < :job)
""")
_REACHED = text("""
SELECT max(position) AS position, max(run) AS charge FROM (
    SELECT position, sum(charge_minor) OVER (ORDER BY position) AS run FROM items
    WHERE job_id = :job AND position > :after AND state = 'pending') r
WHERE CAST(:available AS bigint) IS NULL OR run <= :available
""")
_HOLD = text("""
WITH held AS (UPDATE accounts SET held = held + :charge WHERE id = :account)
INSERT INTO holds AS h (id, agency_id, client_id, account_id, job_id, round, currency, amount)
SELECT :id, agency_id, client_id, id, :job, :round, currency, :charge
FROM accounts WHERE id = :account
ON CONFLICT (job_id, round) DO UPDATE SET amount = h.amount + excluded.amount, state = 'open',
    closed_at = NULL
""")
_FUNDED = text("""
UPDATE jobs j SET version = version + 1,
    funded_to = CASE WHEN EXISTS (SELECT FROM items i WHERE i.job_id = j.id
                     AND i.position > :position AND i.state = 'pending') THEN :position END,
    state = CASE WHEN pause_reason IS DISTINCT FROM 'no_credit' THEN state
                 WHEN started_at IS NULL AND scheduled_for IS NOT NULL THEN 'queued'
                 ELSE 'running' END,
    started_at = CASE WHEN pause_reason = 'no_credit' AND scheduled_for IS NULL
                      THEN coalesce(started_at, :now) ELSE started_at END,
    paused_at = CASE WHEN pause_reason <> 'no_credit' THEN paused_at END,
    paused_by = CASE WHEN pause_reason <> 'no_credit' THEN paused_by END,
    pause_reason = CASE WHEN pause_reason <> 'no_credit' THEN pause_reason END
WHERE j.id = :job
""")


def fund(session: Session, job: Row[Any], now: datetime, limits: Limits) -> bool:
    """Hold the charge of the longest run of items that fits, and start it; False if none fits.

    The job is locked, and nothing of it is at work. Of jobs that wait for the same credit the
    oldest is served first, so that small ones do not starve it.
    """
    values = {"job": job.id, "round": job.round, "client": job.client_id}
    session.execute(_LOCK_CHUNKS, values | {"chunks": limits.chunks_released_max})
    place = values | {"campaign": job.campaign_id, "currency": job.currency}
    payer = session.execute(_LOCK_PAYER, place).one_or_none()
    if payer is None or payer.is_stopped:
        return False
    values |= {"account": payer.id}
    if session.execute(_OLDER, values).scalar_one():
        return False
    available = None if payer.unlimited else payer.available
    reach = {"after": job.funded_to, "available": available}
    reached = session.execute(_REACHED, values | reach).one()
    if reached.position is None:
        return False
    charge = int(reached.charge)
    session.execute(_HOLD, values | {"id": new_id(), "charge": charge})
    session.execute(_FUNDED, values | {"position": reached.position, "now": now})
    _start(session, job, now, limits)
    _audit(session, job, payer.id, charge, reached.position)
    return True


def _start(session: Session, job: Row[Any], now: datetime, limits: Limits) -> None:
    has_to_wait = job.started_at is None and job.scheduled_for is not None
    release_first_chunks(
        session,
        job_id=job.id,
        tenant_id=job.client_id,
        now=now,
        limits=limits,
        run_after=job.scheduled_for if has_to_wait else None,
    )


def _audit(session: Session, job: Row[Any], account_id: UUID, charge: int, position: int) -> None:
    record(
        session,
        "job.funded",
        object_kind="job",
        object_id=job.id,
        actor_id=None,
        agency_id=job.agency_id,
        client_id=job.client_id,
        detail={"account_id": str(account_id), "amount_minor": charge, "through_row": position},
    )
