"""Take the coupons of a distribution back into their book: the kind of job behind its undo."""

from collections import Counter, defaultdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.books import CouponMove
from models.jobs import JobState
from pipelines.books.counts import give_back_places
from pipelines.books.deck import new_places, share_deck
from pipelines.books.history import Moved, Step, move_coupons
from pipelines.books.read import book_rules
from pipelines.distribution.undo import ALREADY_RELEASED, VERDICTS, WHY_NOT
from pipelines.jobs.chunks import defer_settlement
from pipelines.jobs.kinds import (
    DISTRIBUTION_UNDO,
    ChunkInHand,
    JobKind,
    PlanTools,
    Reopened,
)
from pipelines.jobs.layout import (
    close_empty_chunks,
    lay_chunks,
    release_first_chunks,
    reopen_failed,
)
from pipelines.jobs.states import STOPPED
from pipelines.jobs.undo import give_up_undo_plan
from pipelines.jobs.verdicts import (
    CANCELLED,
    INTERNAL_ERROR,
    Verdict,
    end_positions,
    succeed_positions,
)
from pipelines.jobs.work_chunk import pending_positions, rest_in_hand
from pipelines.limits import Limits
from pipelines.queue.work import TaskInHand

_JOB = text("""
SELECT id, agency_id, client_id, undoes_id, state, submitted_by,
    CAST(spec->>'book_id' AS uuid) AS book_id
FROM jobs WHERE id = :job
""")
_LOCK_JOB = text("SELECT state FROM jobs WHERE id = :job FOR NO KEY UPDATE")
_LAST = text("SELECT coalesce(max(position), 0) FROM items WHERE job_id = :original")
# The rows that got a coupon, at the positions they have there.
_ITEMS = text("""
INSERT INTO items (job_id, position, chunk_number, agency_id, client_id, user_id)
SELECT :job, i.position, (i.position - 1) / :size + 1, i.agency_id, i.client_id, i.user_id
FROM items i WHERE i.job_id = :original AND i.state = 'succeeded' ORDER BY i.position
""")
_PLANNED = text("""
UPDATE jobs SET total = :total, version = version + 1,
    retain_until = (SELECT o.retain_until FROM jobs o WHERE o.id = :original)
WHERE id = :job
""")
# Locked before it is judged: whoever redeems at this moment is waited for.
_GIVEN = text(f"""
SELECT c.id, c.version, c.user_id, c.assigned_position AS position, c.state, {WHY_NOT} AS why
FROM coupons c
WHERE c.assigned_job_id = :original AND c.assigned_position = ANY (:positions)
ORDER BY c.id FOR NO KEY UPDATE
""")


def plan_undo(session: Session, task: TaskInHand, now: datetime, tools: PlanTools) -> None:
    """Write the items and release the first chunks; an undo cancelled meanwhile ends empty."""
    job = session.execute(_JOB, {"job": UUID(task.args["job_id"])}).one()
    savepoint = session.begin_nested()
    total = _write_items(session, job, tools.limits)
    if session.execute(_LOCK_JOB, {"job": job.id}).scalar_one() in STOPPED:
        savepoint.rollback()
        defer_settlement(session, job_id=job.id, tenant_id=job.client_id, now=now)
        return
    session.execute(_PLANNED, {"job": job.id, "original": job.undoes_id, "total": total})
    release_first_chunks(
        session, job_id=job.id, tenant_id=job.client_id, now=now, limits=tools.limits
    )
    savepoint.commit()


def _write_items(session: Session, job: Row[Any], limits: Limits) -> int:
    original = {"original": job.undoes_id}
    lay_chunks(
        session,
        job.id,
        agency_id=job.agency_id,
        client_id=job.client_id,
        last_position=session.execute(_LAST, original).scalar_one(),
        limits=limits,
    )
    values = original | {"job": job.id, "size": limits.chunk_items_max}
    written = session.execute(_ITEMS, values)
    close_empty_chunks(session, job.id)
    return int(written.rowcount)  # type: ignore[attr-defined]


def run_undo_chunk(session: Session, chunk: ChunkInHand, now: datetime, limits: Limits) -> None:
    """Every pending item in hand: its coupon back in the book, or why it stays."""
    job = session.execute(_JOB, {"job": chunk.job_id}).one()
    positions = pending_positions(session, chunk)
    if job.state == JobState.CANCELLING:
        end_positions(session, job.id, positions, CANCELLED)
    else:
        _take_back(session, job, positions, now)
    rest_in_hand(session, chunk, now, limits)


def give_up(session: Session, chunk: ChunkInHand, now: datetime, limits: Limits) -> None:
    """The item that cannot be worked on ends `failed internal_error`; its coupon stays given."""
    end_positions(session, chunk.job_id, pending_positions(session, chunk), INTERNAL_ERROR)
    rest_in_hand(session, chunk, now, limits)


def _take_back(session: Session, job: Row[Any], positions: list[int], now: datetime) -> None:
    share_deck(session, job.book_id)
    values = {"original": job.undoes_id, "positions": positions, "now": now}
    found = session.execute(_GIVEN, values).all()
    rules = book_rules(session, job.book_id)
    expired = [row for row in found if row.why is None and row.state == "locked"]
    by = {"at": now, "actor_id": job.submitted_by, "job_id": job.id}
    tidied = [Step(row.id, row.version, row.user_id) for row in expired]
    move_coupons(session, rules.id, tidied, Moved(CouponMove.LOCK_EXPIRED, **by))
    undoable = [row for row in found if row.why is None]
    places = new_places(session, rules.id, len(undoable))
    steps = [
        Step(row.id, row.version + (row.state == "locked"), row.user_id, row.position, place)
        for row, place in zip(undoable, places, strict=True)
    ]
    back = move_coupons(session, rules.id, steps, Moved(CouponMove.RELEASED, **by))
    given = {step.position: step.id for step in steps if step.id in back and step.position}
    succeed_positions(session, job.id, given)
    whose = (step.holder for step in steps if step.id in back and step.holder)
    give_back_places(session, rules, Counter(whose))
    ended: dict[Verdict, list[int]] = defaultdict(list)
    for row in found:
        if row.why is not None:
            ended[VERDICTS[row.why]].append(row.position)
    ended[ALREADY_RELEASED] = sorted({*positions} - {row.position for row in found})
    for verdict, at in ended.items():
        end_positions(session, job.id, at, verdict)


def _settle(_session: Session, _job: Row[Any], _now: datetime) -> None:
    """Each chunk has given back what it took."""


def _reopen(session: Session, job: Row[Any], round_number: int, _now: datetime) -> Reopened:
    """Try again what was locked or failed for a reason of ours."""
    return reopen_failed(session, job.id, round_number)


KIND = JobKind(
    DISTRIBUTION_UNDO,
    settle=_settle,
    plan=plan_undo,
    give_up_plan=give_up_undo_plan,
    run_chunk=run_undo_chunk,
    give_up=give_up,
    reopen=_reopen,
    undo="An undo is not undone. Distribute again to its people.",
)
