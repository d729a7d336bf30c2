"""How many cards to buy ahead just now, on plain values: never above the target nor the ceiling."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import floor

_DAY_SECONDS = 86_400
_DAY = timedelta(days=1)


class Waits(StrEnum):
    """Why nothing, or not all that is missing, is bought just now."""

    NOT_SET_UP = "not_set_up"
    NO_CEILING = "no_ceiling"
    PAUSED = "refill_paused"
    ENOUGH = "enough"
    CEILING = "refill_ceiling_reached"
    NO_ROUTE = "no_route"
    ROUTES_REST = "routes_rest"
    CAME_DEAR = "cards_came_dear"
    VENDOR_DOWN = "vendor_down"
    VENDOR_RATE = "vendor_rate"


@dataclass(frozen=True, slots=True)
class Plan:
    """So many cards are to be in the pool at that time."""

    needed: int
    by: datetime


@dataclass(frozen=True, slots=True)
class Level:
    """What a pool has and wants; `target` none: it is only filled for plans."""

    stock: int
    on_the_way: int
    low_watermark: int
    target: int | None
    is_filling: bool
    plans: Sequence[Plan] = ()
    #: What launches of the last day have not used of their cards yet.
    kept: int = 0
    #: Cards that it bought itself, and that nobody is given because they cost too much.
    bought_dear: int = 0

    @property
    def has(self) -> int:
        """What is on the way or came too dear counts: its slot is not bought twice."""
        return self.stock + self.on_the_way + self.bought_dear

    def missing_by(self, when: datetime) -> int:
        """What is still to be bought by then: for plans until then, and to the target if it fills."""
        planned = sum(plan.needed for plan in self.plans if plan.by <= when)
        planned += self.kept if planned else 0
        wanted = self.target or 0 if fills(self) else 0
        return max(0, max(planned, wanted) - self.has)


@dataclass(frozen=True, slots=True)
class Means:
    """What it may take: minor units per card and per day, cards per minute on the average.

    `minute` counts minutes: of less than one card a minute some have one and others none.
    """

    cost_minor: int
    spent_minor: int
    ceiling_minor: int
    cards_per_minute: float
    minute: int = 0

    @property
    def affordable(self) -> int:
        """How many cards today's ceiling still allows."""
        return max(0, self.ceiling_minor - self.spent_minor) // max(1, self.cost_minor)

    @property
    def cards_now(self) -> int:
        """How many the vendor's rate leaves in this minute."""
        return allowance(self.cards_per_minute, self.minute)

    @property
    def cards_per_day(self) -> int:
        return min(int(self.cards_per_minute * 1440), self.ceiling_minor // max(1, self.cost_minor))

    def within(self, now: datetime, until: datetime) -> int:
        """How many can be bought from now until then: today's ceiling is spent in part already."""
        if until <= now:
            return 0
        midnight = _midnight_after(now)
        today = min(self.affordable, self._by_rate(min(until, midnight) - now))
        if until <= midnight:
            return today
        days, rest = divmod(until - midnight, _DAY)
        return today + days * self.cards_per_day + min(self.cards_per_day, self._by_rate(rest))

    def seconds_for(self, missing: int, now: datetime, *, ahead: int = 0) -> float | None:
        """How long buying so many takes from now on; None: never.

        `ahead` are cards of other pools that want the same vendor's rate first.
        """
        if missing == 0:
            return 0.0
        if self.cards_per_day <= 0:
            return None
        by_rate = (missing + ahead) * 60 / self.cards_per_minute
        midnight = _midnight_after(now)
        later = missing - self.within(now, midnight)
        if later <= 0:
            return by_rate
        days, last = divmod(later - 1, self.cards_per_day)
        by_ceiling = (midnight + days * _DAY - now).total_seconds()
        return max(by_rate, by_ceiling + (last + 1) * 60 / self.cards_per_minute)

    def _by_rate(self, span: timedelta) -> int:
        return int(self.cards_per_minute * span.total_seconds() / 60)


@dataclass(frozen=True, slots=True)
class Purchase:
    """How many to buy now, and why not more, if more are missing."""

    count: int
    missing: int
    waits: Waits | None


def fills(level: Level) -> bool:
    """Whether the pool is being filled up: begun at the low watermark, until the target."""
    if level.target is None or level.has >= level.target:
        return False
    return level.is_filling or level.has <= level.low_watermark


def purchase(level: Level, means: Means, *, now: datetime, lead_seconds: float) -> Purchase:
    """What is missing now, cut to the vendor's rate and today's ceiling.

    A plan is scheduled back from its date: at any time the pool has, or is getting, what could
    not be bought any more in the time that is left. So it begins in time, and is spread.
    """
    target = level.target or 0
    wanted = target if fills(level) else 0
    missing = max(0, max(wanted, _due(level, means, now, lead_seconds)) - level.has)
    if missing == 0:
        return Purchase(0, 0, Waits.ENOUGH)
    # At a minute without a card the ceiling is named too, if nothing is left of it.
    if means.affordable < min(missing, max(1, means.cards_now)):
        return Purchase(min(means.affordable, means.cards_now), missing, Waits.CEILING)
    if means.cards_now < missing:
        return Purchase(max(0, means.cards_now), missing, Waits.VENDOR_RATE)
    return Purchase(missing, missing, None)


def allowance(per_minute: float, minute: int) -> int:
    """How many a rate leaves in one minute: half a card a minute is one in every other."""
    return floor((minute + 1) * per_minute) - floor(minute * per_minute)


def shared(room: int, wishes: Sequence[int], *, turn: int) -> list[int]:
    """What each of these gets of a vendor's room: even parts, nothing above its wish.

    What cannot be parted evenly goes round with `turn`, so that none is always the last.
    """
    got = [0] * len(wishes)
    while room > 0 and (open_ones := [i for i, wish in enumerate(wishes) if got[i] < wish]):
        even = room // len(open_ones)
        if even == 0:
            for place in range(room):
                got[open_ones[(turn + place) % len(open_ones)]] += 1
            break
        for i in open_ones:
            part = min(even, wishes[i] - got[i])
            got[i] += part
            room -= part
    return got


def left_over(stock: int, launches: Iterable[tuple[int, int]]) -> list[int]:
    """What is left of a pool when each launch, and all before it, have had all that they need.

    `launches` in the order of their times: what each needs, and what was used since its time,
    whichever launch it was for. Negative: so many cards are lacking.
    """
    found, least = [], None
    for needed, used in launches:
        least = (used if least is None else min(least, used)) - needed
        found.append(stock + least)
    return found


def begins_before(plan_total: int, has: int, per_day: int) -> float | None:
    """How many seconds before its time buying for a plan begins; None if nothing can be bought."""
    missing = max(0, plan_total - has)
    if missing == 0:
        return 0.0
    return missing * _DAY_SECONDS / per_day if per_day > 0 else None


def _due(wanted: Level, means: Means, now: datetime, lead_seconds: float) -> int:
    """The level at which every plan can still be met; earlier launches use up their cards.

    What comes later is spread evenly, and no more than the rest of today's ceiling allows.
    """
    total, level = wanted.kept, 0
    for plan in sorted(wanted.plans, key=lambda one: one.by):
        if plan.by <= now:
            continue
        total += plan.needed
        ready = plan.by - timedelta(seconds=lead_seconds)
        left = max(0.0, (ready - now).total_seconds())
        later = min(int(means.cards_per_day * left / _DAY_SECONDS), means.within(now, ready))
        level = max(level, total - later)
    return level


def _midnight_after(now: datetime) -> datetime:
    """The end of the day of the ceiling, in the zone that `now` is told in (UTC)."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0) + _DAY
