"""How a pool does, and the rule that says so: pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

#: Cards that expire sooner than this are not given to anybody (EC-068).
CARD_VALIDITY_DAYS_MIN = 30
#: What is given out a day is the average of so many days.
CONSUMPTION_DAYS = 7
#: A pool that lasts for less than this is low, whatever its watermark.
DAYS_LEFT_MIN = 3


class Health(StrEnum):
    HEALTHY = "healthy"
    LOW = "low"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class PoolHealth:
    """The verdict, the rule that led to it in words, and what it rests on.

    `per_day` is the average of the last days; `days_left` is None while nothing is given out.
    """

    health: Health
    rule: str
    per_day: float
    days_left: float | None


def judge(*, usable: int, low_watermark: int, issued_lately: int) -> PoolHealth:
    """Empty without a usable card; low at or under the watermark, or with too few days left (S4-039).

    `issued_lately` are the cards given out in the last `CONSUMPTION_DAYS` days.
    """
    per_day = issued_lately / CONSUMPTION_DAYS
    days_left = usable / per_day if issued_lately else None

    def said(health: Health, rule: str) -> PoolHealth:
        return PoolHealth(health, rule, per_day, days_left)

    if usable == 0:
        return said(Health.EMPTY, "Empty: no usable card left")
    if usable <= low_watermark:
        return said(Health.LOW, f"Low: {low_watermark:,} or fewer")
    rate = f"{_shown(per_day)}/day"
    if days_left is not None and days_left < DAYS_LEFT_MIN:
        return said(Health.LOW, f"Low: < {DAYS_LEFT_MIN} days at {rate}")
    enough = f"Healthy: more than {low_watermark:,}"
    if days_left is None:
        return said(Health.HEALTHY, f"{enough}, none given out in {CONSUMPTION_DAYS} days")
    return said(Health.HEALTHY, f"{enough}, {int(days_left):,} days at {rate}")


def usable_from(now: datetime) -> str:
    """The first acceptable expiry day, as ISO text."""
    return (now + timedelta(days=CARD_VALIDITY_DAYS_MIN)).date().isoformat()


def _shown(per_day: float) -> str:
    """Whole cards, or what is less than one."""
    return f"{round(per_day):,}" if per_day >= 1 else f"{per_day:.1f}"
