"""The time zones a tenant or a campaign may have, when days begin there, and how a form offers them."""

from datetime import UTC, date, datetime, time
from functools import cache
from itertools import groupby
from zoneinfo import ZoneInfo, available_timezones

TIME_ZONES = frozenset(available_timezones())
#: Names of places; what else there is are old names and offsets, which are taken and not offered.
AREAS = frozenset(
    {
        "Africa",
        "America",
        "Antarctica",
        "Arctic",
        "Asia",
        "Atlantic",
        "Australia",
        "Europe",
        "Indian",
        "Pacific",
    }
)


@cache
def zones_by_area() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The zones named after places, by area, each in alphabetical order; UTC is not among them."""
    named = sorted(zone for zone in TIME_ZONES if zone.partition("/")[0] in AREAS and "/" in zone)
    by_area = groupby(named, key=lambda zone: zone.partition("/")[0])
    return tuple((area, tuple(zones)) for area, zones in by_area)


def first_moment(day: date, zone: str) -> datetime:
    """When the day begins there, in UTC (EC-011): also where the clocks pass over its midnight."""
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)
