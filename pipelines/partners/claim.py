"""Claim a coupon: one of a coupon ever, one of a user at a partner in a month (S0-19..21, EC-108..112).

The two unique constraints decide. A visitor's own claims wait for each other by the row of the
partner's user, so that the second is told of the first and has taken no coupon.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models.base import new_id
from models.books import CouponMove
from models.locks import Namespace, share_lock
from models.partners import Claim
from pipelines.audit.record import record
from pipelines.books.counts import take_places
from pipelines.books.deck import share_deck
from pipelines.books.history import Moved, Step, move_coupons
from pipelines.books.read import book_rules
from pipelines.books.refusals import RecipientInactive
from pipelines.jobs.refusals import ClientSuspended
from pipelines.partners.available import offers_for
from pipelines.partners.months import NEXT_MONTH_AT, THIS_MONTH
from pipelines.partners.refusals import AlreadyClaimed, CouponUnavailable, SessionExpired
from pipelines.partners.sessions import Visitor
from pipelines.partners.take_coupon import take_certain, take_next
from pipelines.webhooks.catalogue import COUPON_CLAIMED
from pipelines.webhooks.happened import Event, happened

#: A request without a key that asks for the same again within this time lost its answer.
REPLAYED_WITHIN = timedelta(minutes=10)

_MONTH = text(f"""
SELECT {THIS_MONTH} AS month, {NEXT_MONTH_AT} AS next_at FROM partners p WHERE p.id = :partner
""")
_HOLD_USER = text("""
SELECT FROM partner_users WHERE partner_id = :partner AND user_id = :user FOR NO KEY UPDATE
""")
# Once the locks are there: what they waited for is seen now.
_STANDING = text("""
SELECT k.disabled_at IS NOT NULL AS is_disabled, l.suspended_at IS NOT NULL AS is_suspended
FROM widget_sessions s JOIN partners p ON p.id = s.partner_id AND p.disabled_at IS NULL
JOIN client_users k ON k.client_id = s.client_id AND k.user_id = s.user_id
JOIN clients l ON l.id = s.client_id
WHERE s.id = :visit AND s.revoked_at IS NULL AND s.expires_at > :now
""")
_IS_OF = text("SELECT FROM coupons WHERE book_id = :book AND id = :coupon")
_LATEST = text("""
SELECT id, offer_id, asked_coupon_id, claim_month, claimed_at FROM claims
WHERE partner_id = :partner AND user_id = :user ORDER BY claim_month DESC LIMIT 1
""")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is claimed: a certain coupon, any one of an offer, or any at all."""

    coupon_id: UUID | None = None
    offer_id: UUID | None = None
    #: Whether the request has a name of its own, by which a repeat would be known.
    has_key: bool = False


@dataclass(frozen=True, slots=True)
class Claimed:
    """The claim that answers the request, and whether an earlier request made it."""

    claim_id: UUID
    is_replay: bool


def claim_coupon(session: Session, visitor: Visitor, asked: Asked, *, now: datetime) -> Claimed:
    """Give the visitor a coupon for good, in the client's scope.

    Raises `SessionExpired`, `AlreadyClaimed`, `CouponUnavailable`, `RecipientInactive`, `ClientSuspended`; nothing is
    written then.
    """
    who = {"partner": visitor.partner_id, "user": visitor.user_id, "now": now}
    share_lock(session, Namespace.PARTNER, str(visitor.partner_id))
    session.execute(_HOLD_USER, who)
    standing = session.execute(_STANDING, who | {"visit": visitor.session_id}).one_or_none()
    if standing is None:
        raise SessionExpired
    month = session.execute(_MONTH, who).one()
    latest = session.execute(_LATEST, who).one_or_none()
    if latest is not None and _is_repeat(latest, asked, now):
        return Claimed(latest.id, is_replay=True)
    if latest is not None and latest.claim_month == month.month:
        raise AlreadyClaimed(month.next_at)
    if standing.is_disabled:
        raise RecipientInactive
    if standing.is_suspended:
        raise ClientSuspended
    for offer in _asked_offers(session, visitor, asked, now):
        claim_id = _claim_of(session, visitor, offer, asked, month.month, now)
        if claim_id is not None:
            return Claimed(claim_id, is_replay=False)
    raise CouponUnavailable


def _is_repeat(latest: Row[Any], asked: Asked, now: datetime) -> bool:
    """Whether the request is that of the claim again, whose answer was lost; also in the next month (EC-112)."""
    is_same = latest.asked_coupon_id == asked.coupon_id and (
        asked.offer_id is None or asked.offer_id == latest.offer_id
    )
    return is_same and not asked.has_key and bool(latest.claimed_at >= now - REPLAYED_WITHIN)


def _asked_offers(
    session: Session, visitor: Visitor, asked: Asked, now: datetime
) -> list[Row[Any]]:
    """The offers among which the coupon is to be: that of the coupon that is named, or all."""
    offers = offers_for(session, visitor, now=now)
    if asked.offer_id is not None:
        offers = [offer for offer in offers if offer.id == asked.offer_id]
    if asked.coupon_id is None:
        return offers
    return [offer for offer in offers if _is_of(session, offer, asked.coupon_id)]


def _is_of(session: Session, offer: Row[Any], coupon_id: UUID) -> bool:
    values = {"book": offer.book_id, "coupon": coupon_id}
    return session.execute(_IS_OF, values).one_or_none() is not None


def _claim_of(
    session: Session,
    visitor: Visitor,
    offer: Row[Any],
    asked: Asked,
    month: date,
    now: datetime,
) -> UUID | None:
    """A claim of one of the offer's coupons; None where it has none for this visitor."""
    share_deck(session, offer.book_id)
    rules = book_rules(session, offer.book_id)
    if rules.ended(now) is not None:
        return None
    savepoint = session.begin_nested()
    # Coupon before counts, as the lock order wants.
    step = _taken(session, offer.book_id, asked.coupon_id)
    if step is not None and not take_places(session, rules, [(1, visitor.user_id)]):
        moved = Moved(CouponMove.ASSIGNED, now, visitor.user_id)
        move_coupons(session, offer.book_id, [replace(step, holder=visitor.user_id)], moved)
        claim_id = _write(session, visitor, offer, step.id, asked, month, now)
        if claim_id is not None:
            savepoint.commit()
            return claim_id
    savepoint.rollback()
    return None


def _taken(session: Session, book_id: UUID, coupon_id: UUID | None) -> Step | None:
    """The coupon that was asked for, or else the next one: whoever comes second loses nothing (EC-110)."""
    certain = None if coupon_id is None else take_certain(session, book_id, coupon_id)
    return certain or take_next(session, book_id)


def _write(
    session: Session,
    visitor: Visitor,
    offer: Row[Any],
    coupon_id: UUID,
    asked: Asked,
    month: date,
    now: datetime,
) -> UUID | None:
    """The claim with its audit entry and event; None if a constraint refuses it."""
    made = new_id()
    place = {"agency_id": visitor.agency_id, "client_id": visitor.client_id}
    claim = {
        "id": made,
        "partner_id": visitor.partner_id,
        "user_id": visitor.user_id,
        "offer_id": offer.id,
        "book_id": offer.book_id,
        "coupon_id": coupon_id,
        "asked_coupon_id": asked.coupon_id,
        "claim_month": month,
        "claimed_at": now,
    }
    statement = insert(Claim).values(claim | place).on_conflict_do_nothing()
    if not session.execute(statement).rowcount:  # type: ignore[attr-defined]
        return None
    told = {
        "partner_id": str(visitor.partner_id),
        "book_id": str(offer.book_id),
        "coupon_id": str(coupon_id),
    }
    record(
        session,
        "coupon.claimed",
        object_kind="claim",
        object_id=made,
        actor_id=visitor.user_id,
        **place,
        detail=told,
    )
    data = told | {"user_id": str(visitor.user_id)}
    event = Event(COUPON_CLAIMED, made, visitor.agency_id, visitor.client_id, data)
    happened(session, event, now=now)
    return made
