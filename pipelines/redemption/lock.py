"""Set a coupon aside for its holder, for five minutes, and take the lock off again (EC-082..086)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.books import CouponMove, CouponState
from pipelines.books.coupon_states import check_holder, refuse_lock, refuse_unlock
from pipelines.books.history import Moved, Step, move_coupon, move_coupons
from pipelines.books.look_up import CouponInHand, coupon_by_id, take_coupon
from pipelines.books.read import book_rules
from pipelines.errors import Refusal
from pipelines.limits import Limits
from pipelines.queue.keys import Made, RequestKey, once_made
from pipelines.redemption.accept import Acting, check_client
from pipelines.redemption.lock_tokens import lock_id, lock_token
from pipelines.sealing import Keyring

#: Locks tidied in one pass.
TIDIED_AT_ONCE = 500

# Who has one in hand tidies it themselves.
_EXPIRED = text("""
SELECT book_id, id, version, user_id FROM coupons
WHERE state = 'locked' AND locked_until <= :now ORDER BY locked_until LIMIT :limit
FOR NO KEY UPDATE SKIP LOCKED
""")


@dataclass(frozen=True, slots=True)
class Locked:
    """A lock with its token and end; without them in a replay, where the lock has ended."""

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

    Raises `NotFound` for somebody else's coupon, `ClientSuspended`, what its state or its book
    refuses, and `ConcurrentRedemption`.
    """

    def make() -> Made:
        found = take_coupon(session, coupon, now=now, actor_id=acting.actor_id)
        check_holder(found.facts, acting.holder)
        check_client(session, found.client_id)
        _raise(refuse_lock(found.facts, now) or book_rules(session, found.book_id).ended(now))
        until = now + timedelta(seconds=limits.coupon_lock_seconds)
        move_coupon(session, found, Moved(CouponMove.LOCKED, now, acting.actor_id, until=until))
        return Made(lock_id(found.id, found.version + 1), 200, "coupon_lock")

    done = once_made(session, key, make)
    found = coupon_by_id(session, coupon.book_id, coupon.id)
    # A replay shows its own lock as long as that one stands; a later one has its own token.
    is_standing = found.facts.standing(now) is CouponState.LOCKED
    if not is_standing or done.resource_id != lock_id(found.id, found.version):
        return Locked(found, None, None, done.is_replay)
    token = lock_token(found, version=found.version, keyring=keyring)
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
    found = session.execute(_EXPIRED, {"now": now, "limit": limit}).all()
    by_book: dict[UUID, list[Step]] = {}
    for row in found:
        by_book.setdefault(row.book_id, []).append(Step(row.id, row.version, row.user_id))
    for book_id, steps in by_book.items():
        move_coupons(session, book_id, steps, Moved(CouponMove.LOCK_EXPIRED, now, actor_id=None))
    return len(found) == limit


def _raise(refusal: Refusal | None) -> None:
    if refusal is not None:
        raise refusal
