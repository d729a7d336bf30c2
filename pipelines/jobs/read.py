"""What pages and pollers read of jobs: one statement over chunks, lists by keyset."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.jobs import ItemState, JobState
from pipelines.errors import NotFound
from pipelines.jobs.kinds import UNCHARGED
from pipelines.jobs.progress import progress_of
from pipelines.jobs.schedule import name_of
from pipelines.jobs.states import ENDED, OPEN_ITEMS
from pipelines.limits import Limits

_COLUMNS = """
SELECT j.id, j.kind, j.state, j.created_at, j.started_at, j.finished_at, j.scheduled_for,
       j.total, j.currency, j.round, j.is_single, j.spec, j.error, j.pause_reason, j.paused_at,
       j.paused_by, j.priority, (SELECT c.state = 'paused' FROM campaigns c
           WHERE c.id = j.campaign_id) AS campaign_paused, j.submitted_by, j.version, j.campaign_id, j.client_id, j.agency_id,
       j.file_name, j.cloned_from_id, j.undoes_id, c.*, h.*, r.*, u.*, q.*
FROM jobs j
LEFT JOIN LATERAL (
    SELECT coalesce(sum(pending), 0) AS pending, coalesce(sum(running), 0) AS running,
        coalesce(sum(retrying), 0) AS retrying, coalesce(sum(succeeded), 0) AS succeeded,
        coalesce(sum(failed), 0) AS failed, coalesce(sum(skipped), 0) AS skipped,
        coalesce(sum(needs_review), 0) AS needs_review,
        coalesce(sum(cancelled), 0) AS cancelled, coalesce(sum(from_csv), 0) AS from_csv,
        coalesce(sum(from_buffer), 0) AS from_buffer, coalesce(sum(from_api), 0) AS from_api,
        max(updated_at) AS last_progress_at
    FROM chunks WHERE chunks.job_id = j.id) c ON true
LEFT JOIN LATERAL (
    SELECT coalesce(sum(amount - captured - voided), 0) AS held_minor,
        coalesce(sum(captured), 0) AS captured_minor, coalesce(sum(voided), 0) AS released_minor
    FROM holds WHERE holds.job_id = j.id) h ON true
LEFT JOIN LATERAL (
    SELECT coalesce(sum(t.amount), 0) AS refunded_minor FROM transfers t
    WHERE j.undoes_id IS NOT NULL AND t.job_id = j.id AND t.kind = 'refund') r ON true
LEFT JOIN LATERAL (
    SELECT array_agg(d.id ORDER BY d.id) AS undo_ids,
        sum((SELECT sum(x.succeeded) FROM chunks x WHERE x.job_id = d.id)) AS undone_count,
        sum((SELECT sum(t.amount) FROM transfers t
             WHERE t.job_id = d.id AND t.kind = 'refund')) AS undone_minor
    FROM jobs d WHERE d.undoes_id = j.id) u ON true
LEFT JOIN LATERAL (
    SELECT p.name AS paused_queue FROM queues p JOIN tasks t ON t.queue = p.name
    WHERE p.paused_at IS NOT NULL AND t.job_id = j.id AND t.state = 'ready'
      AND (t.lease_until IS NULL OR t.lease_until <= now())
    LIMIT 1) q ON true
"""
_ONE = text(_COLUMNS + "WHERE j.id = :job")
_LIST = text(
    _COLUMNS
    + """
WHERE (CAST(:kind AS text) IS NULL OR j.kind = :kind)
  AND (CAST(:state AS text) IS NULL OR j.state = :state)
  AND (CAST(:failed_since AS timestamptz) IS NULL OR (j.finished_at > :failed_since
       AND j.state IN ('failed', 'partially_succeeded')))
  AND (CAST(:campaign AS uuid) IS NULL OR j.campaign_id = :campaign)
  AND (CAST(:before AS uuid) IS NULL OR j.id < :before)
ORDER BY j.id DESC LIMIT :limit
"""
)
# A client of many single requests has few others: no more than the newest are looked through.
_OF_BOOK = text(
    """WITH near AS MATERIALIZED (
    SELECT id AS near_id, spec, is_single FROM jobs
    WHERE client_id = :client ORDER BY id DESC LIMIT 2000)
"""
    + _COLUMNS
    + """JOIN near ON near_id = j.id AND NOT near.is_single
  AND near.spec->>'book_id' = CAST(:book AS text)
ORDER BY j.id DESC LIMIT :limit"""
)
_ITEMS = text("""
SELECT i.position, i.state, i.code, i.detail, i.field, i.attempts, i.source, i.email, i.phone,
       i.reference, i.name, i.result_id, i.denomination_minor, i.user_id,
       u.email AS user_email, u.external_id AS user_external_id,
       CASE WHEN i.source IS NOT NULL THEN coalesce(d.state, 'none') END AS delivery_state
FROM items i LEFT JOIN deliveries d ON d.job_id = i.job_id AND d.position = i.position
LEFT JOIN client_users u ON u.client_id = i.client_id AND u.user_id = i.user_id
WHERE i.job_id = :job AND i.position > :after
  AND (CAST(:state AS text) IS NULL OR i.state = :state)
  AND (CAST(:code AS text) IS NULL OR i.code = :code)
ORDER BY i.position LIMIT :limit
""")
_FAILURES = text("""
SELECT i.code, i.state, count(*) AS items,
       bool_or(i.state = 'needs_review' AND i.code = 'margin_below_floor'
               OR (i.charge_minor > 0 OR j.kind = ANY (:uncharged)) AND i.state = 'failed'
               AND coalesce(j.spec->>'has_redemption_code', '') <> 'true') AS retryable,
       min(i.detail) AS example, min(i.position) AS first_position,
       min(i.field) AS first_field, max(i.field) AS last_field
FROM items i JOIN jobs j ON j.id = i.job_id
WHERE i.job_id = :job AND i.state IN ('failed', 'skipped', 'needs_review', 'cancelled')
GROUP BY i.code, i.state ORDER BY items DESC, i.code
""")
_ASKED_BY = text("""
SELECT client_id FROM jobs WHERE id = :job AND kind = :kind AND submitted_by = :actor
""")
_ENDED_AMONG = text(
    "SELECT id FROM jobs WHERE id = ANY(:jobs) AND state IN "
    "('succeeded', 'partially_succeeded', 'failed', 'cancelled')"
)


def job_row(session: Session, job_id: UUID) -> Row[Any]:
    """A job with its counts and money; `NotFound` if this scope cannot see it."""
    row = session.execute(_ONE, {"job": job_id}).one_or_none()
    if row is None:
        raise NotFound
    return row


def client_of_asked(session: Session, job_id: UUID, *, kind: str, actor_id: UUID) -> UUID:
    """The client of a job of the kind that this person asked for, in the SYSTEM scope; `NotFound`."""
    values = {"job": job_id, "kind": kind, "actor": actor_id}
    client_id = session.execute(_ASKED_BY, values).scalar_one_or_none()
    if client_id is None:
        raise NotFound
    return UUID(str(client_id))


def list_jobs(
    session: Session,
    *,
    kind: str | None,
    state: str | None,
    campaign_id: UUID | None,
    before: UUID | None,
    limit: int,
    failed_since: datetime | None = None,
) -> list[Row[Any]]:
    """Jobs this scope can see, newest first; `before` is the last id of the page before.

    With `failed_since` only those that ended with failures after it.
    """
    values = {
        "kind": kind,
        "state": state,
        "failed_since": failed_since,
        "campaign": campaign_id,
        "before": before,
        "limit": limit,
    }
    return list(session.execute(_LIST, values))


def jobs_of_book(session: Session, client_id: UUID, book_id: UUID, *, limit: int) -> list[Row[Any]]:
    """The newest jobs of many codes of a book: made, uploaded, distributed."""
    values = {"client": client_id, "book": book_id, "limit": limit}
    return list(session.execute(_OF_BOOK, values))


def job_items(
    session: Session,
    job_id: UUID,
    *,
    state: str | None,
    code: str | None,
    after: int,
    limit: int,
) -> list[Row[Any]]:
    """Items in file order; `after` is the last position of the page before."""
    values = {"job": job_id, "state": state, "code": code, "after": after, "limit": limit}
    return list(session.execute(_ITEMS, values))


def job_failures(session: Session, job_id: UUID) -> list[Row[Any]]:
    """Items that did not succeed, grouped by verdict code, most frequent first."""
    return list(session.execute(_FAILURES, {"job": job_id, "uncharged": list(UNCHARGED)}))


def ended_among(session: Session, job_ids: list[UUID]) -> set[UUID]:
    """Which of these jobs have ended: one statement for everybody who waits."""
    return set(session.execute(_ENDED_AMONG, {"jobs": job_ids}).scalars())


def counts_of(row: Row[Any]) -> dict[str, int]:
    """The counts of api.md: they sum to `total` at every moment."""
    return {"total": int(row.total)} | {
        state.value: int(getattr(row, state)) for state in ItemState
    }


def job_view(row: Row[Any], *, now: datetime, limits: Limits) -> dict[str, Any]:
    """The job as users see it, without links (those are the front's business)."""
    counts = counts_of(row)
    still_open = sum(counts[state] for state in OPEN_ITEMS)
    progress = progress_of(
        total=counts["total"],
        still_open=still_open,
        pending=counts["pending"],
        started_at=row.started_at,
        finished_at=row.finished_at,
        last_progress_at=row.last_progress_at,
        is_moving=row.state in {JobState.RUNNING, JobState.CANCELLING},
        now=now,
        stalled_seconds=limits.stalled_seconds,
    )
    return {
        "id": row.id,
        "kind": row.kind,
        "state": row.state,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "scheduled_for": row.scheduled_for,
        "waits_for": _waits_for(row, now),
        "priority": name_of(row.priority),
        "campaign_id": row.campaign_id,
        "client_id": row.client_id,
        "counts": counts,
        "progress": asdict(progress),
        "sources": {
            "csv": int(row.from_csv),
            "buffer": int(row.from_buffer),
            "api": int(row.from_api),
        },
        "money": _money(row),
        "error": row.error,
        "pause": _pause(row),
        "round": row.round,
        "undoes_id": row.undoes_id,
        "cloned_from_id": row.cloned_from_id,
        "undone": _undone(row),
        "submitted_by": row.submitted_by,
    }


def _waits_for(row: Row[Any], now: datetime) -> str | None:
    """What holds a job up that nobody has paused: its time, its campaign, or its queue."""
    if row.state == JobState.QUEUED and row.scheduled_for is not None:
        if row.scheduled_for > now:
            return "start_time"
        if row.campaign_paused:
            return "campaign_paused"
    return "queue_paused" if stands_on_paused_queue(row) else None


def stands_on_paused_queue(row: Row[Any]) -> bool:
    """Whether work of the job waits on a queue that the platform has paused."""
    return row.paused_queue is not None and JobState(row.state) not in ENDED | {JobState.PAUSED}


def _money(row: Row[Any]) -> Mapping[str, Any] | None:
    if row.currency is None:
        return None
    return {
        "currency": row.currency,
        "held_minor": int(row.held_minor),
        "captured_minor": int(row.captured_minor),
        "released_minor": int(row.released_minor),
        "refunded_minor": int(row.refunded_minor),
    }


def _undone(row: Row[Any]) -> Mapping[str, Any] | None:
    """What later jobs took back of this one; its own counts stay as history."""
    if row.undo_ids is None:
        return None
    return {
        "count": int(row.undone_count or 0),
        "refunded_minor": int(row.undone_minor or 0),
        "job_ids": row.undo_ids,
    }


def _pause(row: Row[Any]) -> Mapping[str, Any] | None:
    if row.paused_at is None:
        return None
    resumes_on = {
        "no_credit": "there is credit again",
        "provider_auth": "the supplier accepts our keys again",
        "account_restricted": "what its account owes is paid",
        "user": "somebody resumes it",
    }
    return {
        "reason": row.pause_reason,
        "since": row.paused_at,
        "by": row.paused_by,
        "resumes_on": resumes_on.get(row.pause_reason, "its cause is over"),
    }
