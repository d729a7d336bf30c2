"""Give the recipients of one chunk the coupons that were drawn for them, in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.books import CouponMove
from models.jobs import JobState
from pipelines.books.counts import give_back_places, take_places
from pipelines.books.deck import share_deck, take_from_deck
from pipelines.books.history import Moved, Step, give_coupons
from pipelines.books.read import book_rules
from pipelines.books.refusals import BookExhausted, CouponNotAvailable, RecipientInactive
from pipelines.books.rules import BookRules
from pipelines.jobs.kinds import ChunkInHand
from pipelines.jobs.verdicts import (
    CANCELLED,
    INTERNAL_ERROR,
    SUSPENDED,
    Verdict,
    end_positions,
    failed,
    skipped,
)
from pipelines.jobs.work_chunk import part_of, pending_positions, rest_in_hand
from pipelines.limits import Limits
from pipelines.telemetry import get_logger

log = get_logger(__name__)

_JOB = text("""
SELECT j.id, j.state, j.round, j.submitted_by, CAST(j.spec->>'book_id' AS uuid) AS book_id,
    CAST(j.spec->>'pool_id' AS uuid) AS pool_id, j.spec->>'on_failure' = 'atomic' AS is_atomic,
    l.suspended_at IS NOT NULL AS is_suspended
FROM jobs j JOIN clients l ON l.id = j.client_id WHERE j.id = :job
""")
# Whoever has left the pool or was disabled since is passed over (EC-095). The chunk is locked, and
# whoever ends items locks it first.
_ITEMS = text("""
SELECT i.position, i.user_id, i.round,
    EXISTS (SELECT FROM client_users u WHERE u.client_id = i.client_id AND u.user_id = i.user_id
            AND u.disabled_at IS NULL)
    AND EXISTS (SELECT FROM user_pool_members m WHERE m.pool_id = :pool AND m.user_id = i.user_id)
      AS is_active
FROM items i
WHERE i.job_id = :job AND i.chunk_number = :chunk AND i.state = 'pending'
  AND i.position BETWEEN :first AND :last
ORDER BY i.position
""")
_DRAWN = text("""
SELECT positions, coupon_ids FROM draw_chunks WHERE job_id = :job AND chunk_number = :chunk
""")
ROLLED_BACK = Verdict(
    INTERNAL_ERROR.state,
    "atomic_rolled_back",
    "Another recipient could not be served, and the job is all or nothing: nothing was assigned.",
)


def run_chunk(session: Session, chunk: ChunkInHand, now: datetime, limits: Limits) -> None:
    """Every pending item in hand ends with its coupon, or with why there is none."""
    job = session.execute(_JOB, {"job": chunk.job_id}).one()
    items = list(session.execute(_ITEMS, part_of(chunk) | {"pool": job.pool_id}))
    share_deck(session, job.book_id)
    rules = book_rules(session, job.book_id)
    stop = _stopped(job, rules, now)
    given: Mapping[int, UUID] = {}
    if stop is not None:
        end_positions(session, job.id, [item.position for item in items], stop)
    elif job.is_atomic:
        given = _all_or_nothing(session, chunk, job, rules, items, now)
    else:
        given, refused = _give(session, chunk, job, rules, items, now)
        _end(session, job.id, refused)
    rest_in_hand(session, chunk, now, limits)
    log.info("chunk.passed", job_id=str(job.id), chunk=chunk.number, served=len(given))


def give_up(session: Session, chunk: ChunkInHand, now: datetime, limits: Limits) -> None:
    """What cannot be worked on ends `failed internal_error`; it was given nothing (EC-121)."""
    end_positions(session, chunk.job_id, pending_positions(session, chunk), INTERNAL_ERROR)
    rest_in_hand(session, chunk, now, limits)


def _stopped(job: Row[Any], rules: BookRules, now: datetime) -> Verdict | None:
    """Why nothing more of the job is given (EC-080, EC-097, EC-100)."""
    if job.state == JobState.CANCELLING:
        return CANCELLED
    if job.is_suspended:
        return SUSPENDED
    ended = rules.ended(now)
    return None if ended is None else failed(ended)


def _give(
    session: Session,
    chunk: ChunkInHand,
    job: Row[Any],
    rules: BookRules,
    items: Sequence[Row[Any]],
    now: datetime,
) -> tuple[dict[int, UUID], dict[int, Verdict]]:
    """The coupon of each position that got one, and the verdict of each that did not."""
    refused = {i.position: skipped(RecipientInactive()) for i in items if not i.is_active}
    wanted = {i.position: i.user_id for i in items if i.is_active}
    coupons = _coupons(session, chunk, job, list(wanted))
    # In the first round the book had too few for all, or somebody took what was drawn.
    for position in wanted.keys() - coupons.keys():
        refused[position] = failed(BookExhausted())
        del wanted[position]
    limited = take_places(session, rules, list(wanted.items()))
    refused |= {position: skipped(refusal) for position, refusal in limited.items()}
    steps = [
        Step(coupons[position].id, coupons[position].version, user, position)
        for position, user in wanted.items()
        if position not in limited
    ]
    moved = Moved(CouponMove.ASSIGNED, now, job.submitted_by, job_id=job.id)
    found = give_coupons(session, rules.id, steps, moved)
    given = {step.position: step.id for step in steps if step.id in found and step.position}
    lost = [step for step in steps if step.id not in found]
    if lost:
        _count_back(session, rules, lost)
        refused |= {s.position: failed(CouponNotAvailable()) for s in lost if s.position}
    return given, refused


def _coupons(
    session: Session, chunk: ChunkInHand, job: Row[Any], positions: Sequence[int]
) -> dict[int, Step]:
    """What was drawn for each position; another round takes from the top of the deck."""
    if job.round == 1:
        values = {"job": job.id, "chunk": chunk.number}
        row = session.execute(_DRAWN, values).one_or_none()
        drawn = zip(row.positions, row.coupon_ids, strict=True) if row is not None else ()
        # What is set aside is nobody else's: it need not be looked at before it is given.
        return {position: Step(coupon, None, None) for position, coupon in drawn}
    taken = take_from_deck(session, job.book_id, len(positions)) if positions else []
    return dict(zip(positions, taken, strict=False))


def _count_back(session: Session, rules: BookRules, lost: Sequence[Step]) -> None:
    given: dict[UUID, int] = {}
    for step in lost:
        assert step.holder is not None
        given[step.holder] = given.get(step.holder, 0) + 1
    give_back_places(session, rules, given)


def _all_or_nothing(
    session: Session,
    chunk: ChunkInHand,
    job: Row[Any],
    rules: BookRules,
    items: Sequence[Row[Any]],
    now: datetime,
) -> dict[int, UUID]:
    """One who cannot be served undoes the whole chunk, which is the whole job."""
    savepoint = session.begin_nested()
    given, refused = _give(session, chunk, job, rules, items, now)
    if not refused:
        savepoint.commit()
        return given
    savepoint.rollback()
    # Another try is for all of them again.
    causes = {at: replace(why, state=ROLLED_BACK.state) for at, why in refused.items()}
    others = {i.position: ROLLED_BACK for i in items if i.position not in refused}
    _end(session, job.id, causes | others)
    return {}


def _end(session: Session, job_id: UUID, refused: Mapping[int, Verdict]) -> None:
    for verdict in sorted(set(refused.values()), key=lambda one: one.code):
        positions = [position for position, why in refused.items() if why == verdict]
        end_positions(session, job_id, positions, verdict)
