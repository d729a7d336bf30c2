"""The conditions of a campaign in words: its window in its own time zone, and what is left: pure."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row

from pipelines.jobs.cells import YEARS
from web.console.formats import number

#: A time of these years is between them, whatever its zone.
EARLIEST = datetime(YEARS[0], 1, 1, tzinfo=UTC) - timedelta(days=1)
LATEST = datetime(YEARS[-1] + 1, 1, 1, tzinfo=UTC) + timedelta(days=1)


def condition_lines(campaign: Row[Any]) -> Sequence[tuple[str, str]]:
    """`(condition, how it stands)` of each that the campaign has; its row is `campaigns.campaign`'s."""
    zone, lines = campaign.time_zone, []
    if campaign.starts_at is not None:
        lines.append(("Gives rewards from", local_moment(campaign.starts_at, zone)))
    if campaign.ends_at is not None:
        lines.append(("Gives rewards until", local_moment(campaign.ends_at, zone)))
    if campaign.max_rewards is not None:
        counted = campaign.rewards_counted or 0
        left = max(0, campaign.max_rewards - counted)
        words = f"{number(counted)} of {number(campaign.max_rewards)}, {number(left)} left"
        lines.append(("Rewards given or on their way", words))
    if campaign.max_rewards_per_recipient is not None:
        most = number(campaign.max_rewards_per_recipient)
        lines.append(("Rewards for each recipient", f"{most} at most"))
    return lines


def over_words(since: datetime | None, zone: str) -> str:
    """Since when a campaign whose window is past gives nothing more."""
    return "" if since is None else f"over since {local_moment(since, zone)}"


def local_moment(at: datetime, zone: str) -> str:
    """`20 Nov 2026, 14:06 (Europe/Berlin)`"""
    return f"{in_zone(at, zone):%-d %b %Y, %H:%M} ({zone})"


def in_zone(at: datetime, zone: str) -> datetime:
    """The time of its clocks; what was kept before years had bounds stands at the nearest bound."""
    return min(max(at, EARLIEST), LATEST).astimezone(ZoneInfo(zone))
