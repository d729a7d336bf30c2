"""End what waits for its margin, when nobody will correct it: the credit goes back (EC-081)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.credit.hold import capture_and_void
from pipelines.errors import Kind, NotFound, Refusal
from pipelines.jobs.chunks import defer_settlement
from pipelines.jobs.kinds import PROVISIONING
from pipelines.jobs.layout import lock_failed_chunks
from pipelines.jobs.moves import audit_move


class NothingWaits(Refusal):
    """No item of the job waits for its margin."""

    code = "nothing_waits"
    kind = Kind.CONFLICT
    detail = "No recipient of the job waits because of a margin. Nothing was changed."


class MoreWait(Refusal):
    """More items wait than whoever gives them up was shown."""

    code = "more_wait"
    kind = Kind.CONFLICT
    detail = "More recipients wait than were shown. Look at the new number, and confirm again."


_LOCK_JOB = text("""
SELECT id, kind, state, round, agency_id, client_id, priority FROM jobs WHERE id = :job
FOR NO KEY UPDATE
""")
_END = text("""
WITH ended AS (
    UPDATE items SET state = 'cancelled', detail = :detail
    WHERE job_id = :job AND state = 'needs_review' AND code = 'margin_below_floor'
    RETURNING round, charge_minor)
SELECT round, count(*) AS items, sum(charge_minor) AS charge FROM ended
GROUP BY round ORDER BY round
""")
_WAITING = text("""
SELECT count(*), coalesce(sum(charge_minor), 0) FROM items
WHERE job_id = :job AND state = 'needs_review' AND code = 'margin_below_floor'
""")
# A round that has ended is settled anew, so that the job's end says what became of them.
_REOPEN_JOB = text("""
UPDATE jobs SET state = CASE state WHEN 'cancelled' THEN 'cancelling' ELSE 'running' END,
    finished_at = NULL, version = version + 1
WHERE id = :job AND state IN ('succeeded', 'partially_succeeded', 'failed', 'cancelled')
""")
_GIVEN_UP = "Every card that could be had cost too much; a person gave up. Nothing was charged."


def waiting_for_margin(session: Session, job_id: UUID) -> tuple[int, int]:
    """How many items of a job wait for their margin, and the credit held for them."""
    items, charge = session.execute(_WAITING, {"job": job_id}).one()
    return int(items), int(charge)


def give_up_waiting(
    session: Session,
    job_id: UUID,
    *,
    reason: str,
    actor_id: UUID,
    now: datetime,
    at_most: int | None = None,
) -> int:
    """End the items of a job that wait for their margin, uncharged; returns how many.

    `at_most` is how many a person was shown. Raises `NotFound`, `NothingWaits` and `MoreWait`;
    nothing is changed then.
    """
    job = session.execute(_LOCK_JOB, {"job": job_id}).one_or_none()
    if job is None or job.kind != PROVISIONING:
        raise NotFound
    lock_failed_chunks(session, job_id)
    groups = session.execute(_END, {"job": job_id, "detail": _GIVEN_UP}).all()
    if not groups:
        raise NothingWaits
    count = sum(int(group.items) for group in groups)
    if at_most is not None and count > at_most:
        raise MoreWait
    session.execute(_REOPEN_JOB, {"job": job_id})
    defer_settlement(
        session, job_id=job_id, tenant_id=job.client_id, now=now, priority=job.priority
    )
    audit_move(session, "job.waiting_given_up", job, actor_id, {"items": count, "reason": reason})
    for group in groups:
        capture_and_void(
            session,
            job_id=job_id,
            round_number=group.round,
            captured=0,
            voided=int(group.charge),
            client_ref="",
            transfer_id=None,
            now=now,
        )
    return count
