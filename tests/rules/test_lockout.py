"""An account rests after ten wrong passwords in a row, longer each time (SEC-03, S1-098)."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pipelines.access.lockout import (
    FAILURES_MAX,
    FIRST_REST,
    LONGEST_REST,
    NEW,
    Standing,
    try_again,
)

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def after(tries: int) -> Standing:
    """As many wrong passwords, each as soon as it may be tried."""
    standing, now = NEW, NOW
    for _try in range(tries):
        now = standing.rests_until or now
        following = try_again(standing, now=now)
        assert following is not None
        standing = following
    return standing


def test_nine_wrong_passwords_are_forgiven_and_the_tenth_is_not():
    assert after(FAILURES_MAX - 1).rests_until is None
    assert after(FAILURES_MAX) == Standing(FAILURES_MAX, NOW + FIRST_REST)


def test_a_resting_account_takes_no_password_until_the_moment_it_may():
    standing = after(FAILURES_MAX)

    assert try_again(standing, now=NOW + FIRST_REST - timedelta(microseconds=1)) is None
    assert try_again(standing, now=NOW + FIRST_REST) is not None


def test_each_rest_is_twice_the_one_before_up_to_a_day():
    rests = []
    standing, now = after(FAILURES_MAX - 1), NOW
    for _try in range(9):
        now = standing.rests_until or now
        standing = try_again(standing, now=now) or NEW
        assert standing.rests_until is not None
        rests.append(standing.rests_until - now)

    quarters = [1, 2, 4, 8, 16, 32, 64, 96, 96]
    assert rests == [FIRST_REST * quarter for quarter in quarters]
    assert rests[-1] == LONGEST_REST


@given(st.integers(0, 200), st.timedeltas(timedelta(0), timedelta(days=2)))
def test_a_try_is_counted_exactly_when_it_is_let_in(failures: int, waited: timedelta):
    standing = Standing(failures, NOW + timedelta(hours=1) if failures >= FAILURES_MAX else None)

    following = try_again(standing, now=NOW + waited)

    is_resting = failures >= FAILURES_MAX and waited < timedelta(hours=1)
    assert (following is None) == is_resting
    if following is not None:
        assert following.failures == failures + 1
