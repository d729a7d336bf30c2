"""What may be done to a coupon in which state, and the words in which it is refused (EC-082..084)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from models.books import CouponState
from pipelines.books.refusals import (
    AlreadyLocked,
    CouponInUse,
    CouponLimitReached,
    CouponLocked,
    CouponNotAvailable,
    CouponVoid,
    InvalidTransition,
    TerminalState,
)
from pipelines.errors import NotFound, Refusal

S = CouponState
#: The states that follow each other; the trigger `coupon_moves` holds the same table.
MOVES: Mapping[CouponState, frozenset[CouponState]] = {
    S.UNASSIGNED: frozenset({S.ASSIGNED, S.VOID}),
    S.ASSIGNED: frozenset({S.LOCKED, S.REDEEMED, S.UNASSIGNED, S.VOID}),
    S.LOCKED: frozenset({S.ASSIGNED, S.REDEEMED, S.VOID}),
    S.REDEEMED: frozenset(),
    S.VOID: frozenset(),
}


@dataclass(frozen=True, slots=True)
class CouponFacts:
    """A coupon as it was read: whose it is, until when it is locked, how often it was redeemed."""

    state: CouponState
    user_id: UUID | None
    locked_until: datetime | None
    redemptions: int

    def standing(self, now: datetime) -> CouponState:
        """Its state at that moment: a lock that ran out is none (EC-086)."""
        if self.state is S.LOCKED and self.locked_until is not None and self.locked_until <= now:
            return S.ASSIGNED
        return self.state


def check_holder(coupon: CouponFacts, user_id: UUID | None) -> None:
    """Somebody else's coupon is as unknown as none at all: `NotFound` (EC-087).

    None for whoever acts for the book's owner.
    """
    if user_id is not None and coupon.user_id != user_id:
        raise NotFound


def refuse_assign(coupon: CouponFacts, now: datetime) -> Refusal | None:
    """Why this coupon cannot be given to somebody."""
    match coupon.standing(now):
        case S.UNASSIGNED:
            return None
        case S.REDEEMED:
            return TerminalState()
        case S.VOID:
            return CouponVoid()
        case _:
            return CouponNotAvailable()


def refuse_lock(coupon: CouponFacts, now: datetime) -> Refusal | None:
    """Why this coupon cannot be set aside by its holder."""
    match coupon.standing(now):
        case S.ASSIGNED:
            return None
        case S.LOCKED:
            return AlreadyLocked(coupon.locked_until)
        case S.VOID:
            return CouponVoid()
        case state:
            return InvalidTransition(state, "locked")


def refuse_unlock(coupon: CouponFacts, now: datetime) -> Refusal | None:
    """Why the lock of this coupon cannot be taken off."""
    match coupon.standing(now):
        case S.LOCKED:
            return None
        case S.REDEEMED:
            return TerminalState()
        case S.VOID:
            return CouponVoid()
        case state:
            return InvalidTransition(state, "unlocked")


def refuse_redeem(
    coupon: CouponFacts, now: datetime, *, most: int | None, has_lock_token: bool
) -> Refusal | None:
    """Why this coupon cannot be redeemed; who holds its lock may, and nobody more than `most` times.

    It may have been redeemed so often before its book's limit was lowered to that.
    """
    match coupon.standing(now):
        case S.LOCKED if not has_lock_token:
            return CouponLocked(coupon.locked_until)
        case S.ASSIGNED | S.LOCKED:
            if most is None or coupon.redemptions < most:
                return None
            return CouponLimitReached(most)
        case S.REDEEMED:
            return TerminalState()
        case S.VOID:
            return CouponVoid()
        case state:
            return InvalidTransition(state, "redeemed")


def refuse_release(coupon: CouponFacts, now: datetime) -> Refusal | None:
    """Why this coupon cannot be taken back from its holder into the book."""
    match coupon.standing(now):
        case S.ASSIGNED:
            return CouponInUse() if coupon.redemptions else None
        case S.LOCKED:
            return CouponLocked(coupon.locked_until, move="release")
        case S.REDEEMED:
            return TerminalState()
        case S.VOID:
            return CouponVoid()
        case state:
            return InvalidTransition(state, "released")


def refuse_void(coupon: CouponFacts, now: datetime) -> Refusal | None:
    """Why this coupon cannot be made worthless."""
    match coupon.standing(now):
        case S.REDEEMED:
            return TerminalState()
        case S.VOID:
            return CouponVoid()
        case _:
            return None
