"""How much bulk work may be open: one client's share, and what the installation takes in at all.

A job beyond it is refused before its file is looked at. Requests of one item are always accepted:
their rows are few, and people wait for them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.errors import Kind, Refusal
from pipelines.limits import Limits
from pipelines.queue.kinds import ALL

#: What the relay's process says while Redis refuses for lack of memory. RabbitMQ only falls silent,
#: as it does when it is away; there the backlog itself tells.
BROKER_FULL = ("OutOfMemoryError",)


class TenantQuotaExceeded(Refusal):
    """The client has too much open work already; the numbers say how much and what is allowed."""

    code = "tenant_quota_exceeded"
    kind = Kind.THROTTLED
    detail = (
        "This client has too much open work. Wait until some of it has ended, or cancel some, and "
        "send this again."
    )


class QueueSaturated(Refusal):
    """The installation has more bulk work than it gets done; `reason` says what shows it."""

    code = "queue_saturated"
    kind = Kind.BUSY
    detail = (
        "There is more bulk work than is being done just now. Nothing was kept; send this again "
        "later. Requests for single cards are still accepted."
    )


@dataclass(frozen=True, slots=True)
class OpenWork:
    """What of one client has not ended."""

    jobs: int
    items: int


# Codes to be generated are no items: millions of them are the work of seconds.
_COUNTED = """state <> 'closed' AND job_id NOT IN (
    SELECT id FROM jobs WHERE kind IN ('code_generation', 'discount_generation')
      AND state IN ('queued', 'running', 'paused', 'cancelling'))"""
_OF_CLIENT = text(f"""
SELECT (SELECT count(*) FROM jobs WHERE client_id = :client AND NOT is_single
          AND state IN ('queued', 'running', 'paused', 'cancelling')) AS jobs,
       (SELECT coalesce(sum(pending + running + retrying), 0) FROM chunks
        WHERE client_id = :client AND {_COUNTED}) AS items
""")
# What a client's own work makes wait does not close the house to others: relay and workers give
# each lane its turns, so bulk work waits too long where a lane has none. `late` is a lane's most
# urgent work that has been due that long; the two halves have an index each. Fresh work of a
# higher priority goes before it by the client's own choice. A lane has its turns if a task of it
# was rung in that time or is in hand, while workers live, or if its items moved in that time.
# Work of a paused job or queue waits because somebody wants it to.
_OF_ALL = text(f"""
WITH late AS (
    SELECT lane, tenant_id, min(priority) AS priority FROM (
        SELECT lane, tenant_id, priority, kind, job_id FROM tasks
        WHERE state = 'ready' AND rung_at IS NULL AND queue = 'bulk' AND run_after <= :due_before
        UNION ALL
        SELECT lane, tenant_id, priority, kind, job_id FROM tasks
        WHERE state = 'ready' AND rung_at IS NOT NULL AND queue = 'bulk'
          AND run_after <= :due_before) t
    WHERE kind = ANY(:known)
      AND NOT EXISTS (SELECT FROM jobs j WHERE j.id = t.job_id AND j.state = 'paused')
    GROUP BY lane, tenant_id
)
SELECT (SELECT coalesce(sum(pending + running + retrying), 0) FROM chunks
        WHERE {_COUNTED}) > :items_max AS has_too_much,
    EXISTS (SELECT FROM processes WHERE name = 'relay' AND beat_at > :beat_after
            AND trouble = ANY(:full)) AS broker_is_full,
    NOT EXISTS (SELECT FROM queues WHERE name = 'bulk' AND paused_at IS NOT NULL)
    AND EXISTS (
        SELECT FROM late l
        WHERE NOT EXISTS (
            SELECT FROM tasks t WHERE t.state = 'ready' AND t.queue = 'bulk' AND t.lane = l.lane
              AND t.priority < l.priority AND t.run_after > :due_before AND t.run_after <= :now
              AND t.kind = ANY(:known)
              AND NOT EXISTS (SELECT FROM jobs j WHERE j.id = t.job_id AND j.state = 'paused'))
        AND NOT (
            EXISTS (SELECT FROM processes WHERE name = 'bulk' AND beat_at > :beat_after)
            AND EXISTS (
                SELECT FROM tasks t WHERE t.state = 'ready' AND t.rung_at IS NOT NULL
                  AND t.queue = 'bulk' AND t.lane = l.lane
                  AND (t.rung_at > :due_before OR t.starts > t.attempts OR t.lease_until > :now)))
        AND NOT EXISTS (
            SELECT FROM jobs j JOIN chunks c ON c.job_id = j.id
            WHERE j.client_id = l.tenant_id AND NOT j.is_single
              AND j.state IN ('queued', 'running', 'paused', 'cancelling')
              AND c.updated_at > :due_before
              AND c.running + c.retrying + c.succeeded + c.needs_review > 0)
    ) AS waits_too_long
""")
_KNOWN = sorted(ALL)


def admit_job(session: Session, client_id: UUID, *, limits: Limits) -> None:
    """Raise `TenantQuotaExceeded` if the client may open no further bulk job at all.

    Two requests at the same moment may both be the last one: the quota keeps a tenant from
    filling the house, and is not exact to the job.
    """
    refusal = quota_refusal(session, client_id, items=1, limits=limits)
    if refusal is not None:
        raise refusal


def quota_refusal(
    session: Session, client_id: UUID, *, items: int, limits: Limits, own_jobs: int = 0
) -> TenantQuotaExceeded | None:
    """Why the client cannot have a further job of `items`; None if it can.

    `own_jobs`: how many of its open jobs are the one that is asked for.
    """
    row = session.execute(_OF_CLIENT, {"client": client_id}).one()
    work = OpenWork(jobs=row.jobs - own_jobs, items=int(row.items))
    fits = (
        work.jobs < limits.open_jobs_per_client_max
        and work.items + items <= limits.open_items_per_client_max
    )
    if fits:
        return None
    return TenantQuotaExceeded(
        retry_after_seconds=limits.quota_retry_seconds,
        extra={
            "open_jobs": work.jobs,
            "open_jobs_max": limits.open_jobs_per_client_max,
            "open_items": work.items,
            "open_items_max": limits.open_items_per_client_max,
            "items": items,
        },
    )


def saturation(session: Session, *, now: datetime, limits: Limits) -> QueueSaturated | None:
    """Why no bulk job is accepted now, whoever asks; None while there is room.

    It looks at all tenants' work, so the session is in the system's scope.
    """
    row = session.execute(
        _OF_ALL,
        {
            "now": now,
            "known": _KNOWN,
            "items_max": limits.open_items_max,
            "full": list(BROKER_FULL),
            "beat_after": now - timedelta(seconds=limits.process_gone_seconds),
            "due_before": now - timedelta(seconds=limits.bulk_wait_seconds_max),
        },
    ).one()
    reasons = {
        "open_items": row.has_too_much,
        "broker_out_of_memory": row.broker_is_full,
        "bulk_queue_waits": row.waits_too_long,
    }
    reason = next((name for name, is_so in reasons.items() if is_so), None)
    if reason is None:
        return None
    return QueueSaturated(
        retry_after_seconds=limits.saturated_retry_seconds, extra={"reason": reason}
    )
