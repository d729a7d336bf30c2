"""Set a coupon aside for its holder, for five minutes, and take the lock off again (EC-082..086)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.books import CouponMove, CouponState
from pipelines.books.coupon_states import check_holder, refuse_lock, refuse_unlock
from pipelines.books.history import Moved, move_coupon
from pipelines.books.look_up import CouponInHand, coupon_by_id, take_coupon
from pipelines.books.read import book_rules
from pipelines.errors import Refusal
from pipelines.limits import Limits
from pipelines.queue.keys import Made, RequestKey, once_made
from pipelines.redemption.accept import Acting
from pipelines.redemption.lock_tokens import lock_token
from pipelines.sealing import Keyring

#: Locks tidied in one pass.
TIDIED_AT_ONCE = 500

_EXPIRED = text("""
SELECT book_id, id FROM coupons
WHERE state = 'locked' AND locked_until <= :now ORDER BY locked_until LIMIT :limit
""")


@dataclass(frozen=True, slots=True)
class Locked:
    """A lock and its token, or what stands of it when asked again."""

    coupon: CouponInHand
    token: str | None
    locked_until: datetime | None
    is_replay: bool


def lock_coupon(
    session: Session,
    coupon: CouponInHand,
    acting: Acting,
    *,
    key: RequestKey | None,
    now: datetime,
    keyring: Keyring,
    limits: Limits,
) -> Locked:
    """Lock the coupon, in its client's scope; the same key gives the same lock, not a longer one.

    Raises `NotFound` for somebody else's coupon, what its state or its book refuses, and
    `ConcurrentRedemption`.
    """

    def make() -> Made:
        found = take_coupon(session, coupon, now=now, actor_id=acting.actor_id)
        check_holder(found.facts, acting.holder)
        _raise(refuse_lock(found.facts, now) or book_rules(session, found.book_id).ended(now))
        until = now + timedelta(seconds=limits.coupon_lock_seconds)
        move_coupon(session, found, Moved(CouponMove.LOCKED, now, acting.actor_id, until=until))
        return Made(coupon.id, 200, "coupon")

    done = once_made(session, key, make)
    found = coupon_by_id(session, coupon.book_id, coupon.id)
    # A replay shows the lock as long as it is the one that stands.
    is_standing = found.facts.standing(now) is CouponState.LOCKED
    token = lock_token(found, version=found.version, keyring=keyring) if is_standing else None
    return Locked(found, token, found.facts.locked_until, done.is_replay)


def unlock_coupon(
    session: Session, coupon: CouponInHand, acting: Acting, *, now: datetime
) -> CouponInHand:
    """Take the lock off; raises as `lock_coupon` does."""
    found = take_coupon(session, coupon, now=now, actor_id=acting.actor_id)
    check_holder(found.facts, acting.holder)
    _raise(refuse_unlock(found.facts, now))
    move_coupon(session, found, Moved(CouponMove.UNLOCKED, now, acting.actor_id))
    return coupon_by_id(session, coupon.book_id, coupon.id)


def tidy_locks(session: Session, *, now: datetime, limit: int = TIDIED_AT_ONCE) -> bool:
    """Take off locks whose time is over, in the system's scope; True if there may be more.

    Nothing rests on it: a lock that ran out is none, whoever looks (EC-086).
    """
    values = {"now": now, "limit": limit}
    found = session.execute(_EXPIRED, values).all()
    for row in found:
        _tidy(session, row.book_id, row.id, now)
    return len(found) == limit


def _tidy(session: Session, book_id: UUID, coupon_id: UUID, now: datetime) -> None:
    try:
        take_coupon(session, coupon_by_id(session, book_id, coupon_id), now=now, actor_id=None)
    except Refusal:
        return  # somebody acts on it just now, and sees for themselves


def _raise(refusal: Refusal | None) -> None:
    if refusal is not None:
        raise refusal
