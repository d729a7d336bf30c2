"""Take a coupon back into its book, or make it worthless: what its managers may do."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from models.books import CouponMove, CouponState
from pipelines.audit.record import record
from pipelines.books.counts import give_back_places
from pipelines.books.coupon_states import refuse_release, refuse_void
from pipelines.books.deck import is_set_aside, new_places, share_deck
from pipelines.books.history import Moved, move_coupon
from pipelines.books.look_up import CouponInHand, coupon_by_id, take_coupon
from pipelines.books.read import book_rules
from pipelines.books.refusals import BEING_DRAWN, CouponNotAvailable

#: The states in which a coupon is one of those that its holder's limit counts.
_HELD = frozenset({CouponState.ASSIGNED, CouponState.LOCKED})


def release_coupon(
    session: Session, coupon: CouponInHand, *, actor_id: UUID, reason: str | None, now: datetime
) -> CouponInHand:
    """Take an assigned coupon from its holder back into the deck; its holder may get another."""
    share_deck(session, coupon.book_id)
    found = take_coupon(session, coupon, now=now, actor_id=actor_id)
    if (refusal := refuse_release(found.facts, now)) is not None:
        raise refusal
    moved = Moved(CouponMove.RELEASED, now, actor_id, reason=reason)
    (place,) = new_places(session, found.book_id, 1)
    move_coupon(session, found, moved, draw_key=place)
    return _given_back(session, found, "coupon.released", actor_id, reason)


def void_coupon(
    session: Session, coupon: CouponInHand, *, actor_id: UUID, reason: str | None, now: datetime
) -> CouponInHand:
    """Make a coupon worthless for good; one that a distribution is drawing waits for its end."""
    share_deck(session, coupon.book_id)
    found = take_coupon(session, coupon, now=now, actor_id=actor_id)
    if (refusal := refuse_void(found.facts, now)) is not None:
        raise refusal
    is_free = found.facts.state is CouponState.UNASSIGNED
    if is_free and is_set_aside(session, found.book_id, found.draw_key):
        raise CouponNotAvailable(BEING_DRAWN)
    move_coupon(session, found, Moved(CouponMove.VOIDED, now, actor_id, reason=reason))
    return _given_back(session, found, "coupon.voided", actor_id, reason)


def _given_back(
    session: Session, was: CouponInHand, action: str, actor_id: UUID, reason: str | None
) -> CouponInHand:
    holder = was.facts.user_id
    if holder is not None and was.facts.state in _HELD:
        give_back_places(session, book_rules(session, was.book_id), {holder: 1})
    record(
        session,
        action,
        object_kind="coupon",
        object_id=was.id,
        actor_id=actor_id,
        agency_id=was.agency_id,
        client_id=was.client_id,
        detail={"book_id": str(was.book_id), "reason": reason},
    )
    return coupon_by_id(session, was.book_id, was.id)
