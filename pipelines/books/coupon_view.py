"""What people and pages read of coupons: one, those of a person, and what was done to one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.books import CouponState
from pipelines.access.users import UserNotFound
from pipelines.books.coupon_states import (
    CouponFacts,
    refuse_assign,
    refuse_lock,
    refuse_redeem,
    refuse_release,
    refuse_unlock,
    refuse_void,
)
from pipelines.books.look_up import CouponInHand
from pipelines.books.refusals import BEING_DRAWN, BookNotStarted, CouponNotAvailable
from pipelines.books.rules import Window
from pipelines.errors import Kind, NotFound, Refusal

_COUPONS = """
SELECT c.id, c.book_id, c.client_id, c.state, c.user_id, c.assigned_at, c.locked_until,
    c.redemptions, c.version, c.code, s.last4, b.name AS book, b.allow_multi_redemption,
    b.max_redemptions_per_coupon, b.starts_at, b.expires_at, b.closed_at,
    c.state = 'unassigned' AND EXISTS (
        SELECT FROM draws d WHERE d.book_id = c.book_id AND d.closed_at IS NULL
          AND c.draw_key > d.after_key AND c.draw_key <= d.upto_key) AS is_set_aside
FROM coupons c JOIN books b ON b.id = c.book_id LEFT JOIN coupon_codes s ON s.id = c.id
"""
_ONE = text(_COUPONS + "WHERE c.book_id = :book AND c.id = :coupon")
_HELD = text(_COUPONS + "WHERE c.user_id = :user AND c.id = :coupon")
_OF_PERSON = text(
    _COUPONS
    + """WHERE c.user_id = :user AND (CAST(:before AS uuid) IS NULL OR c.id < :before)
ORDER BY c.id DESC LIMIT :limit"""
)
# The policies of both tables decide whom the caller sees.
_IS_KNOWN = text("""
SELECT EXISTS (SELECT FROM client_users WHERE user_id = :user)
    OR EXISTS (SELECT FROM users WHERE id = :user)
""")
_EVENTS = text("""
SELECT number, move, user_id, actor_id, job_id, at, reason FROM coupon_events
WHERE coupon_id = :coupon AND number > :after ORDER BY number LIMIT :limit
""")
_EVENTS_FOR_HOLDER = text("""
SELECT number, move, user_id, CASE WHEN actor_id = :holder THEN actor_id END AS actor_id, job_id,
    at, CAST(NULL AS text) AS reason
FROM coupon_events
WHERE coupon_id = :coupon AND user_id = :holder AND number > :after ORDER BY number LIMIT :limit
""")


class OfManagers(Refusal):
    """What only those do who run the coupon's book."""

    code = "forbidden"
    kind = Kind.FORBIDDEN
    detail = "Only who manages the book can do this."


@dataclass(frozen=True, slots=True)
class CouponView:
    """A coupon as it was read at `now`, with what may be done to it by whoever holds it."""

    row: Row[Any]
    now: datetime

    @property
    def facts(self) -> CouponFacts:
        row = self.row
        return CouponFacts(CouponState(row.state), row.user_id, row.locked_until, row.redemptions)

    @property
    def state(self) -> CouponState:
        return self.facts.standing(self.now)

    @property
    def code(self) -> str:
        """The text, or its last characters where the book seals its codes."""
        return self.row.code or f"****{self.row.last4}"

    def moves(self) -> Mapping[str, Refusal | None]:
        """Each thing that can be done to it, and why it cannot (S1-057, S1-058)."""
        facts, now, book = self.facts, self.now, self.book_refusal
        return {
            "redeem": refuse_redeem(facts, now, most=self.max_redemptions, has_lock_token=False)
            or book,
            "lock": refuse_lock(facts, now) or _unless_early(book),
            "unlock": refuse_unlock(facts, now),
            "assign": refuse_assign(facts, now) or self._drawn() or _unless_early(book),
            "release": refuse_release(facts, now),
            "void": refuse_void(facts, now) or self._drawn(),
        }

    def as_json(self, *, for_holder: bool = False) -> dict[str, Any]:
        """As the API shows it; `for_holder`: to somebody who only holds it."""
        row, state, moves = self.row, self.state, dict(self.moves())
        if for_holder:
            moves |= dict.fromkeys(("assign", "release", "void"), OfManagers())
        return {
            "id": row.id,
            "code": self.code,
            "is_sealed": row.code is None,
            "state": state.value,
            "book_id": row.book_id,
            "book": row.book,
            "client_id": row.client_id,
            "user_id": row.user_id,
            "assigned_at": row.assigned_at,
            "locked_until": row.locked_until if state is CouponState.LOCKED else None,
            "redemptions": row.redemptions,
            "max_redemptions": self.max_redemptions,
            "expires_at": row.expires_at,
            "moves": {
                name: {"code": why.code if why else None, "detail": why.detail if why else None}
                for name, why in moves.items()
            },
        }

    @property
    def max_redemptions(self) -> int | None:
        """How often it may be redeemed in all; None for any number of times."""
        row = self.row
        return row.max_redemptions_per_coupon if row.allow_multi_redemption else 1

    def _drawn(self) -> Refusal | None:
        return CouponNotAvailable(BEING_DRAWN) if self.row.is_set_aside else None

    @property
    def book_refusal(self) -> Refusal | None:
        """Why nothing of its book is redeemed now."""
        row = self.row
        return Window(row.starts_at, row.expires_at, row.closed_at).refuse_redemption(self.now)


def _unless_early(refusal: Refusal | None) -> Refusal | None:
    """Before a book starts its coupons are given and set aside already."""
    return None if isinstance(refusal, BookNotStarted) else refusal


def coupon_view(session: Session, coupon: CouponInHand, *, now: datetime) -> CouponView:
    """The coupon as it is now; `NotFound` if this scope cannot see it."""
    values = {"book": coupon.book_id, "coupon": coupon.id}
    row = session.execute(_ONE, values).one_or_none()
    if row is None:
        raise NotFound
    return CouponView(row, now)


def held_coupon(session: Session, coupon_id: UUID, user_id: UUID, *, now: datetime) -> CouponView:
    """A coupon that the person holds; of any other `NotFound` (EC-087)."""
    values = {"coupon": coupon_id, "user": user_id}
    row = session.execute(_HELD, values).one_or_none()
    if row is None:
        raise NotFound
    return CouponView(row, now)


def coupons_of_person(
    session: Session, user_id: UUID, *, now: datetime, before: UUID | None, limit: int
) -> list[CouponView]:
    """A person's coupons that this scope shows, newest first; `before` is the last id of the page before."""
    values = {"user": user_id, "before": before, "limit": limit}
    return [CouponView(row, now) for row in session.execute(_OF_PERSON, values)]


def check_known(session: Session, user_id: UUID) -> None:
    """Raises `UserNotFound` for whom this scope does not show, as for nobody."""
    if not session.execute(_IS_KNOWN, {"user": user_id}).scalar_one():
        raise UserNotFound


def events_of(
    session: Session, coupon_id: UUID, *, after: int, limit: int, only_for: UUID | None = None
) -> list[Row[Any]]:
    """What was done to the coupon, in its order; `after` is the last number of the page before.

    `only_for` is whoever sees it as its holder alone: of what was done while it was theirs they read
    what and when, and neither who else did it nor in which words (EC-087).
    """
    values = {"coupon": coupon_id, "after": after, "limit": limit}
    if only_for is None:
        return list(session.execute(_EVENTS, values))
    return list(session.execute(_EVENTS_FOR_HOLDER, values | {"holder": only_for}))
