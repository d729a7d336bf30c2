"""Redeem one coupon: the kind of job behind a redemption (S3-019..023)."""

from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.books import CouponMove
from models.jobs import JobState
from pipelines.books.counts import take_redeemed
from pipelines.books.coupon_states import refuse_redeem
from pipelines.books.deck import share_deck
from pipelines.books.history import Moved, move_coupon
from pipelines.books.look_up import CouponInHand, coupon_by_id, take_coupon
from pipelines.books.outcome import coupon_outcome
from pipelines.books.read import book_rules
from pipelines.books.refusals import CouponNotAvailable
from pipelines.books.rules import BookRules
from pipelines.errors import Refusal
from pipelines.jobs.kinds import COUPON_REDEMPTION, ChunkInHand, JobKind
from pipelines.jobs.verdicts import (
    CANCELLED,
    INTERNAL_ERROR,
    SUSPENDED,
    Verdict,
    end_positions,
    failed,
    succeed_positions,
)
from pipelines.jobs.work_chunk import rest_in_hand
from pipelines.limits import Limits
from pipelines.redemption.tell_holder import tell_holder
from pipelines.sealing import Keyring

_ASKED = text("""
SELECT j.id, j.state, j.submitted_by, CAST(j.spec->>'book_id' AS uuid) AS book_id,
    CAST(j.spec->>'coupon_id' AS uuid) AS coupon_id,
    CAST(j.spec->>'lock_version' AS integer) AS lock_version, i.state AS item_state, i.user_id,
    l.suspended_at IS NOT NULL AS is_suspended
FROM jobs j JOIN items i ON i.job_id = j.id AND i.position = 1
JOIN clients l ON l.id = j.client_id
WHERE j.id = :job
""")
_CLOSE = text("DELETE FROM open_redemptions WHERE job_id = :job")


def redemption_kind(keyring: Keyring) -> JobKind:
    """The kind of job that redeems; its mails to holders are sealed with the keys."""
    return JobKind(
        COUPON_REDEMPTION,
        settle=settle,
        run_chunk=partial(run_redemption, keyring=keyring),
        give_up=give_up,
        outcome=coupon_outcome,
        undo="A redemption is final.",
    )


def run_redemption(
    session: Session, chunk: ChunkInHand, now: datetime, limits: Limits, *, keyring: Keyring
) -> None:
    """The item ends with one redemption more, or with why there is none."""
    asked = session.execute(_ASKED, {"job": chunk.job_id}).one()
    if asked.item_state == "pending":
        verdict = _stopped(asked) or _try(session, asked, now, keyring)
        if verdict is not None:
            end_positions(session, chunk.job_id, [1], verdict)
    rest_in_hand(session, chunk, now, limits)


def give_up(session: Session, chunk: ChunkInHand, now: datetime, limits: Limits) -> None:
    """What cannot be worked on ends `failed internal_error`; nothing was redeemed."""
    end_positions(session, chunk.job_id, [1], INTERNAL_ERROR)
    rest_in_hand(session, chunk, now, limits)


def settle(session: Session, job: Row[Any], _now: datetime) -> None:
    """The coupon may be redeemed by somebody else again."""
    session.execute(_CLOSE, {"job": job.id})


def _stopped(asked: Row[Any]) -> Verdict | None:
    if asked.state == JobState.CANCELLING:
        return CANCELLED
    return SUSPENDED if asked.is_suspended else None


def _try(session: Session, asked: Row[Any], now: datetime, keyring: Keyring) -> Verdict | None:
    savepoint = session.begin_nested()
    try:
        refusal = _redeem(session, asked, now, keyring)
    except Refusal as raised:
        refusal = raised
    if refusal is None:
        savepoint.commit()
        return None
    savepoint.rollback()
    return failed(refusal)


def _redeem(session: Session, asked: Row[Any], now: datetime, keyring: Keyring) -> Refusal | None:
    """Deck, coupon, counts, as the lock order wants; a refusal undoes them.

    The lock whose token was shown at accept may have run out since; a later one is another's.
    """
    share_deck(session, asked.book_id)
    found = coupon_by_id(session, asked.book_id, asked.coupon_id)
    coupon = take_coupon(session, found, now=now, actor_id=asked.submitted_by)
    rules = book_rules(session, asked.book_id)
    refusal = refuse_redeem(
        coupon.facts,
        now,
        most=rules.redemptions_per_coupon,
        has_lock_token=coupon.version == asked.lock_version,
    )
    refusal = refusal or rules.ended(now) or _holder_changed(coupon, asked)
    if refusal is not None:
        return refusal
    assert coupon.facts.user_id is not None
    refusal = take_redeemed(session, rules, coupon.facts.user_id)
    if refusal is not None:
        return refusal
    move_coupon(session, coupon, _moved(asked, rules, coupon, now), position=1)
    succeed_positions(session, asked.id, {1: coupon.id})
    tell_holder(session, rules, coupon, keyring=keyring, now=now)
    return None


def _moved(asked: Row[Any], rules: BookRules, coupon: CouponInHand, now: datetime) -> Moved:
    most = rules.redemptions_per_coupon
    return Moved(
        CouponMove.REDEEMED,
        now,
        asked.submitted_by,
        job_id=asked.id,
        exhausts=most is not None and coupon.facts.redemptions + 1 >= most,
    )


def _holder_changed(coupon: CouponInHand, asked: Row[Any]) -> Refusal | None:
    """Between accept and now it may have been released and given to somebody else."""
    from_now = coupon.facts.user_id
    return None if from_now == asked.user_id else CouponNotAvailable()
