"""A coupon in words: its state, what can be done to it and why not, and its history: pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from models.books import CouponMove, CouponState
from pipelines.books.coupon_view import CouponView
from pipelines.errors import Refusal
from web.console.formats import instant, moment, plural
from web.console.job_words import StateWords

COUPON_STATES: Mapping[str, StateWords] = {
    CouponState.UNASSIGNED: StateWords("Unassigned", "layers", "plain"),
    CouponState.ASSIGNED: StateWords("Assigned", "people", "info"),
    CouponState.LOCKED: StateWords("Locked", "key", "warn"),
    CouponState.REDEEMED: StateWords("Redeemed", "check", "good"),
    CouponState.VOID: StateWords("Void", "stop", "bad"),
}
_MOVES: Mapping[str, str] = {
    CouponMove.ASSIGNED: "Assigned to {holder}",
    CouponMove.LOCKED: "Locked",
    CouponMove.UNLOCKED: "Unlocked",
    CouponMove.LOCK_EXPIRED: "Its lock ran out",
    CouponMove.REDEEMED: "Redeemed",
    CouponMove.RELEASED: "Taken back from {holder} into the book",
    CouponMove.VOIDED: "Made worthless",
}
#: What to do about a refusal, beside the words that it was promised.
_REMEDIES: Mapping[str, str] = {
    "coupon_locked": "Unlock it first, or wait until its lock runs out{until}.",
    "already_locked": "Its time is not extended; the lock runs out{until}.",
    "terminal_state": "A redeemed coupon stays redeemed.",
    "coupon_not_available": "Somebody has it, or a distribution is drawing it. Choose another.",
    "concurrent_redemption": "It is being acted on in another window or by somebody else. Look "
    "at it again before you repeat this.",
    "user_not_found": "Nobody whom the client knows has this address. Look at how it is spelt.",
    "coupon_limit_reached": "It is used up. Who manages the book can raise its limit, or void the "
    "coupon.",
    "user_limit_reached": "The rules of the book allow no more to one person.",
    "book_limit_reached": "The rules of the book allow no more in all.",
    "book_exhausted": "",
}


@dataclass(frozen=True, slots=True)
class Toast:
    """What came of something, told once and in nobody's way."""

    words: str
    note: str = ""
    is_good: bool = False
    #: Where to look again, while it is still being worked on.
    again: str | None = None


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One thing that was done to a coupon."""

    at: datetime
    words: str
    by: str
    reason: str
    job_id: UUID | None


@dataclass(frozen=True, slots=True)
class OwnCoupon:
    """A coupon as its holder sees it."""

    id: UUID
    code: str
    is_sealed: bool
    book: str
    state: StateWords
    #: Until when it is locked, in words and as a moment; None where it is not.
    lock: tuple[str, str] | None
    expires: str
    uses: str
    #: Why its book lets nobody redeem it now.
    ended: str


def own_coupon(view: CouponView) -> OwnCoupon:
    row = view.row
    return OwnCoupon(
        row.id,
        view.code,
        row.code is None,
        row.book,
        COUPON_STATES[view.state],
        lock_words(view),
        moment(row.expires_at) if row.expires_at else "Never",
        use_words(view),
        view.book_refusal.detail if view.book_refusal else "",
    )


def lock_words(view: CouponView) -> tuple[str, str] | None:
    """`until 20 Nov 2026, 14:06:31 UTC, 4 min 12 s left`, and the moment for a clock that runs."""
    until = view.row.locked_until
    if view.state is not CouponState.LOCKED or until is None:
        return None
    left = max(0, int((until - view.now).total_seconds()))
    return f"until {instant(until)}, {left // 60} min {left % 60} s left", until.isoformat()


def use_words(view: CouponView) -> str:
    """How often it was redeemed, of how often it may be."""
    if view.max_redemptions is None:
        return f"{plural(view.row.redemptions, 'time')}, and any number more"
    return f"{view.row.redemptions} of {view.max_redemptions}"


def refused(refusal: Refusal) -> Toast:
    """The words that were promised, and what to do."""
    return refused_as(refusal.code, refusal.detail, refusal.extra)


def refused_as(code: str, detail: str, extra: Mapping[str, Any] | None = None) -> Toast:
    """As a job says why it came to nothing."""
    until = (extra or {}).get("locked_until")
    at = f" at {instant(datetime.fromisoformat(until))}" if until else ""
    return Toast(detail, _REMEDIES.get(code, "").format(until=at))


def why_not(refusal: Refusal | None) -> str | None:
    """Why a button is not to be pressed, in one line."""
    if refusal is None:
        return None
    told = refused(refusal)
    return f"{told.words.removesuffix('.')}. {told.note}".strip()


def history_lines(
    rows: Sequence[Any], *, holders: Mapping[UUID, str], actors: Mapping[UUID, str], nobody: str
) -> list[HistoryLine]:
    """What was done to a coupon, the oldest first; `nobody` is what others than `actors` are called."""
    return [
        HistoryLine(
            row.at,
            _MOVES[row.move].format(holder=holders.get(row.user_id, "somebody")),
            "the clock"
            if row.move == CouponMove.LOCK_EXPIRED
            else actors.get(row.actor_id, nobody),
            row.reason or "",
            row.job_id,
        )
        for row in rows
    ]
