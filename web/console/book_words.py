"""A book in words: how it stands, what is in stock, its rules, and what its codes are worth: pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.books.capacity import capacity, days_per_hit
from pipelines.books.patterns import Pattern, check_space
from pipelines.books.read import BookState, BookView
from pipelines.books.refusals import PatternSpaceTooSmall
from pipelines.books.rules import BookRules
from web.console.formats import moment, number, plural
from web.console.job_words import StateWords

BOOK_STATES: Mapping[str, StateWords] = {
    BookState.OPEN: StateWords("Open", "check", "good"),
    BookState.SCHEDULED: StateWords("Not started", "clock", "info"),
    BookState.EXPIRED: StateWords("Expired", "clock", "warn"),
    BookState.CLOSED: StateWords("Closed", "stop", "plain"),
}
#: What a state means for whoever holds a coupon.
EFFECTS: Mapping[str, str] = {
    BookState.OPEN: "Its coupons are assigned and redeemed.",
    BookState.SCHEDULED: "Its coupons are assigned; they cannot be redeemed before it starts.",
    BookState.EXPIRED: "Its time is over: nothing of it is assigned or redeemed any more.",
    BookState.CLOSED: "It is closed: nothing of it is assigned or redeemed until it is reopened.",
}
STOCK = (
    ("unassigned", "Unassigned"),
    ("assigned", "Assigned"),
    ("locked", "Locked"),
    ("redeemed", "Redeemed"),
    ("void", "Void"),
)
LIMITS = (
    ("max_assignments_per_user", "Coupons that one person may hold"),
    ("max_redemptions_per_user", "Redemptions of one person"),
    ("max_assignments", "Coupons given in all"),
    ("max_redemptions", "Redemptions in all"),
)
_DAYS_PER_YEAR = 365
_YEARS_TOLD_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class StockPart:
    """Coupons of one state, and their part of the bar in percent of its width."""

    state: str
    label: str
    count: int
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class PatternLook:
    """What a pattern does: how many codes fit, and how long guessing takes, in words."""

    shape: str
    fits: str
    room: str
    guess: str
    #: What to do where there is no room for the codes that are meant.
    refusal: str | None


def stock_parts(stock: Mapping[str, int]) -> list[StockPart]:
    """The bar of a book's coupons, by state."""
    total, start, found = stock["total"], 0.0, []
    for state, label in STOCK:
        width = 100 * stock[state] / total if total else 0.0
        found.append(StockPart(state, label, stock[state], round(start, 2), round(width, 2)))
        start += width
    return found


def stock_words(stock: Mapping[str, int]) -> str:
    """`12 coupons: 10 unassigned, 2 assigned`: what the bar shows."""
    if not stock["total"]:
        return "No coupon yet"
    parts = [f"{number(stock[state])} {label.lower()}" for state, label in STOCK if stock[state]]
    return f"{plural(stock['total'], 'coupon')}: {', '.join(parts)}"


def limit_lines(rules: BookRules) -> list[tuple[str, str]]:
    """What each person and the whole book may have."""
    lines = [(words, _limit(getattr(rules, name))) for name, words in LIMITS]
    most = rules.redemptions_per_coupon
    uses = "Any number of times" if most is None else plural(most, "time")
    return [("A coupon is redeemed", uses), *lines]


def limits_in_short(rules: BookRules) -> str:
    """The limits that there are, for a line of a list."""
    told = [
        f"{number(most)} {words}"
        for name, words in (
            ("max_assignments_per_user", "a person"),
            ("max_assignments", "in all"),
        )
        if (most := getattr(rules, name)) is not None
    ]
    most = rules.redemptions_per_coupon
    if most != 1:
        told.append("redeemed any number of times" if most is None else f"redeemed {most} times")
    return ", ".join(told) or "No limits"


def expiry_words(rules: BookRules) -> str:
    return moment(rules.expires_at) if rules.expires_at else "Never"


def pattern_look(pattern: Pattern, *, existing: int, meant: int, seals_codes: bool) -> PatternLook:
    """A pattern that makes codes, beside `existing` ones and for `meant` more."""
    room = capacity(pattern, existing=existing, is_bearer=seals_codes)
    days = days_per_hit(pattern, existing + meant)
    try:
        check_space(pattern, existing=existing, count=meant, is_bearer=seals_codes)
        refusal = None
    except PatternSpaceTooSmall as small:
        refusal = small.detail
    return PatternLook(
        shape=pattern.around("•" * pattern.random_length),
        fits=f"{number(room.space)} ({room.bits:.0f} bits)",
        room=plural(room.room_for, "code"),
        guess=f"{guess_words(days)}, at 1.7 million tries an hour, for {number(meant)} codes",
        refusal=refusal,
    )


def guess_words(days: float) -> str:
    """How long trying takes until it finds a code."""
    years = days / _DAYS_PER_YEAR
    if years > _YEARS_TOLD_MAX:
        return "More than a million years"
    if years >= 2:
        return f"About {number(round(years))} years"
    if days >= 1:
        return f"About {plural(round(days), 'day')}"
    return "Less than a day"


def generate_why_not(view: BookView, *, may_manage: bool) -> str | None:
    """Why no codes can be made of it; None if they can."""
    if (why := manage_why_not(view, may_manage=may_manage)) is not None:
        return why
    if view.pattern is None:
        return "The book has no pattern. Give it one under Edit, or upload codes."
    return None


def manage_why_not(view: BookView, *, may_manage: bool) -> str | None:
    """Why nothing can be put into it; None if it can."""
    if not may_manage:
        return "Only campaign managers and administrators put codes into books."
    if view.state in {BookState.CLOSED, BookState.EXPIRED}:
        return f"{EFFECTS[view.state]} {_way_on(view.state)}"
    return None


def assign_why_not(view: BookView, *, may_assign: bool) -> str | None:
    """Why no coupon of it can be given; None if one can."""
    if not may_assign:
        return "Only campaign managers and administrators give coupons."
    if view.state in {BookState.CLOSED, BookState.EXPIRED}:
        return f"{EFFECTS[view.state]} {_way_on(view.state)}"
    if not view.stock["unassigned"]:
        return "The book has no coupon left that nobody has. Generate or upload some."
    return None


def _way_on(state: BookState) -> str:
    return "Reopen it first." if state is BookState.CLOSED else "Give it a later end under Edit."


def _limit(most: int | None) -> str:
    return "No limit" if most is None else number(most)
