"""What became of reservations, added up; and when days begin (S2-062, EC-011)."""

from datetime import UTC, date, datetime, timedelta

import pytest

from pipelines.discounts.outcomes import Outcomes, outcomes_of
from pipelines.tenants.time_zones import first_moment
from web.console.discount_words import release_words, time_left

NOW = datetime(2027, 5, 5, 12, tzinfo=UTC)


def test_outcomes_add_up_and_say_what_share_of_the_settled_was_paid() -> None:
    found = (
        outcomes_of("confirmed", None, 5)
        + outcomes_of("refunded", None, 1)
        + outcomes_of("reserved", None, 3)
        + outcomes_of("released", "timeout", 2)
        + outcomes_of("released", "customer", 1)
        + outcomes_of("released", "timeout", 1)
    )

    assert found == Outcomes(5, 1, 3, {"customer": 1, "timeout": 3})
    assert (found.made, found.paid, found.given_back, found.abandoned) == (13, 6, 4, 3)
    assert found.conversion_bp == 6_000


def test_nothing_settled_has_no_conversion() -> None:
    assert Outcomes(live=4).conversion_bp is None
    assert Outcomes().conversion_bp is None
    assert Outcomes(released={"timeout": 1}).conversion_bp == 0


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2027, 3, 28), 23),
        ("Europe/Berlin", date(2027, 10, 31), 25),
        ("America/New_York", date(2027, 3, 14), 23),
        ("America/New_York", date(2027, 11, 7), 25),
        ("Pacific/Kiritimati", date(2027, 3, 28), 24),
        # The clocks pass over midnight itself: the day begins at one.
        ("America/Santiago", date(2026, 9, 6), 23),
        ("America/Havana", date(2026, 11, 1), 25),
    ],
)
def test_ec011_a_day_is_as_long_as_its_clocks_say(zone: str, day: date, hours: int) -> None:
    begins, ends = first_moment(day, zone), first_moment(day + timedelta(days=1), zone)

    assert ends - begins == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("seconds", "words"), [(899, "14:59"), (60, "1:00"), (5.9, "0:05"), (0, "0:00"), (-9, "0:00")]
)
def test_minutes_and_seconds_left(seconds: float, words: str) -> None:
    assert time_left(NOW + timedelta(seconds=seconds), NOW) == words


def test_a_reason_without_words_of_its_own_is_told_by_its_name() -> None:
    assert release_words("timeout") == "Abandoned: not paid in time"
    assert release_words("session_expired") == "Session expired"
