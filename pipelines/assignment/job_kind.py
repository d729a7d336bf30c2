"""Give one coupon to one person: the kind of job behind an assignment."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.books import CouponMove
from models.jobs import JobState
from pipelines.books.counts import take_places
from pipelines.books.coupon_states import refuse_assign
from pipelines.books.deck import is_set_aside, share_deck, take_from_deck
from pipelines.books.history import Moved, Step, give_coupons
from pipelines.books.look_up import coupon_by_id, take_coupon
from pipelines.books.outcome import coupon_outcome
from pipelines.books.read import book_rules
from pipelines.books.refusals import (
    BookExhausted,
    ConcurrentRedemption,
    CouponNotAvailable,
    RecipientInactive,
)
from pipelines.books.rules import BookRules
from pipelines.errors import Refusal
from pipelines.jobs.kinds import COUPON_ASSIGNMENT, ChunkInHand, JobKind, Reopened
from pipelines.jobs.layout import reopen_failed
from pipelines.jobs.verdicts import (
    CANCELLED,
    INTERNAL_ERROR,
    SUSPENDED,
    Verdict,
    end_positions,
    failed,
)
from pipelines.jobs.work_chunk import rest_in_hand
from pipelines.limits import Limits

_ASKED = text("""
SELECT j.id, j.state, j.client_id, j.submitted_by, CAST(j.spec->>'book_id' AS uuid) AS book_id,
    CAST(j.spec->>'coupon_id' AS uuid) AS coupon_id, i.position, i.user_id, i.state AS item_state,
    u.disabled_at IS NOT NULL AS is_disabled, l.suspended_at IS NOT NULL AS is_suspended
FROM jobs j JOIN items i ON i.job_id = j.id AND i.position = 1
JOIN clients l ON l.id = j.client_id
LEFT JOIN client_users u ON u.client_id = j.client_id AND u.user_id = i.user_id
WHERE j.id = :job
""")


def run_assignment(session: Session, chunk: ChunkInHand, now: datetime, limits: Limits) -> None:
    """The item ends with a coupon, or with why there is none; the chunk is its whole job."""
    asked = session.execute(_ASKED, {"job": chunk.job_id}).one()
    if asked.item_state == "pending":
        verdict = _stopped(asked) or _assign(session, asked, now)
        if verdict is not None:
            end_positions(session, chunk.job_id, [asked.position], verdict)
    rest_in_hand(session, chunk, now, limits)


def give_up(session: Session, chunk: ChunkInHand, now: datetime, limits: Limits) -> None:
    """What cannot be worked on ends `failed internal_error`; nothing was given."""
    end_positions(session, chunk.job_id, [1], INTERNAL_ERROR)
    rest_in_hand(session, chunk, now, limits)


def _stopped(asked: Row[Any]) -> Verdict | None:
    if asked.state == JobState.CANCELLING:
        return CANCELLED
    if asked.is_suspended:
        return SUSPENDED
    return failed(RecipientInactive()) if asked.is_disabled else None


def _assign(session: Session, asked: Row[Any], now: datetime) -> Verdict | None:
    share_deck(session, asked.book_id)
    rules = book_rules(session, asked.book_id)
    if (ended := rules.ended(now)) is not None:
        return failed(ended)
    savepoint = session.begin_nested()
    refusal = _give(session, asked, rules, now)
    if refusal is None:
        savepoint.commit()
        return None
    savepoint.rollback()
    return failed(refusal)


def _give(session: Session, asked: Row[Any], rules: BookRules, now: datetime) -> Refusal | None:
    """Coupon before counts, as the lock order wants; a refusal undoes both."""
    step = _chosen(session, asked, now)
    if isinstance(step, Refusal):
        return step
    if refused := take_places(session, rules, [(asked.position, asked.user_id)]):
        return refused[asked.position]
    moved = Moved(CouponMove.ASSIGNED, now, asked.submitted_by, job_id=asked.id)
    given = Step(step.id, step.version, asked.user_id, asked.position)
    return None if give_coupons(session, rules.id, [given], moved) else ConcurrentRedemption()


def _chosen(session: Session, asked: Row[Any], now: datetime) -> Step | Refusal:
    if asked.coupon_id is None:
        taken = take_from_deck(session, asked.book_id, 1)
        return taken[0] if taken else BookExhausted()
    coupon = coupon_by_id(session, asked.book_id, asked.coupon_id)
    try:
        coupon = take_coupon(session, coupon, now=now, actor_id=asked.submitted_by)
    except ConcurrentRedemption:
        return CouponNotAvailable()
    refusal = refuse_assign(coupon.facts, now)
    if refusal is None and is_set_aside(session, coupon.book_id, coupon.draw_key):
        refusal = CouponNotAvailable()
    return refusal or Step(coupon.id, coupon.version, None)


def settle(_session: Session, _job: Row[Any], _now: datetime) -> None:
    """Nothing was set aside for the request."""


def reopen(session: Session, job: Row[Any], round_number: int, _now: datetime) -> Reopened:
    """Try again what was refused: there may be coupons now."""
    return reopen_failed(session, job.id, round_number)


KIND = JobKind(
    COUPON_ASSIGNMENT,
    settle=settle,
    run_chunk=run_assignment,
    give_up=give_up,
    reopen=reopen,
    outcome=coupon_outcome,
    undo="One coupon is taken back by itself: release it.",
)
