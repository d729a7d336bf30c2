"""How the token bucket shares a vendor's rate: never more than the rate and the burst, and no less."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.providers.bucket import Bucket, full, line_up, pause

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LINE = 5.0

rates = st.integers(1, 60_000)
bursts = st.integers(1, 30)
pauses = st.integers(0, 20_000_000).map(lambda count: timedelta(microseconds=count))


def places(bucket: Bucket, now: datetime, asks: int) -> tuple[list[float], Bucket]:
    """When each of so many who ask at one moment may begin, of those who got a token or a place."""
    begins = []
    for _ in range(asks):
        kept, wait, bucket = line_up(bucket, now, line_seconds=LINE)
        if kept:
            begins.append(wait)
    return begins, bucket


def test_a_full_bucket_grants_its_burst_and_then_places_at_the_rate():
    begins, bucket = places(full(rate_per_minute=60, burst=3, now=NOW), NOW, 50)

    assert begins == [0, 0, 0, 1, 2, 3, 4, 5]
    # Half of the line is gone then.
    assert line_up(bucket, NOW, line_seconds=LINE) == (False, 3.5, bucket)


def test_a_long_rest_fills_no_more_than_the_burst():
    later = NOW + timedelta(days=365)

    assert places(Bucket(60, 10, 0, NOW), later, 50)[0].count(0) == 10


def test_who_comes_to_a_full_line_leaves_the_bucket_as_it_is():
    _, full_line = places(Bucket(60, 10, 0, NOW), NOW, 50)

    assert line_up(full_line, NOW + timedelta(seconds=0.5), line_seconds=LINE).bucket == full_line


def test_a_pause_is_waited_out_fills_nothing_and_nobody_lines_up_in_it():
    until = NOW + timedelta(seconds=30)
    _, bucket = places(full(rate_per_minute=60, burst=10, now=NOW), NOW, 50)
    bucket = pause(bucket, until)

    assert line_up(bucket, NOW, line_seconds=LINE) == (False, 31.0, bucket)
    assert pause(bucket, NOW + timedelta(seconds=1)) == bucket
    assert places(bucket, until, 50)[0] == [1, 2, 3, 4, 5]
    assert places(bucket, until + timedelta(seconds=2), 50)[0][:3] == [0, 0, 1]


def test_a_clock_that_steps_back_grants_nothing_twice():
    _, bucket = places(full(rate_per_minute=60, burst=1, now=NOW), NOW, 1)

    _, bucket = places(bucket, NOW - timedelta(hours=1), 1)
    assert line_up(bucket, NOW, line_seconds=LINE).wait_seconds >= 1


@given(st.integers(1, 30), pauses)
def test_ec061_who_waited_for_the_row_is_served_like_who_was_quicker(burst, behind):
    """EC-061: a bucket filled in the asker's future is no pause, whoever's clock is read."""
    _, _, bucket = line_up(full(rate_per_minute=60, burst=burst, now=NOW), NOW, line_seconds=LINE)
    asks = burst + 3

    at_once, after = places(bucket, NOW, asks)
    late, after_late = places(bucket, NOW - behind, asks)

    assert after_late == after
    assert late.count(0) == at_once.count(0) == burst - 1
    # Places are the same moments, seen from further back.
    assert [wait - behind.total_seconds() for wait in late if wait] == pytest.approx(
        [wait for wait in at_once if wait]
    )


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (1, 0), (-1, 1)])
def test_a_bucket_without_rate_or_burst_is_refused(rate, burst):
    with pytest.raises(ValueError, match="at least 1"):
        Bucket(rate, burst, 0, NOW)


@given(rates, bursts, st.lists(st.tuples(pauses, st.integers(1, 60)), max_size=10))
def test_it_never_begins_more_than_the_rate_and_the_burst(rate, burst, steps):
    bucket, now, begun = full(rate_per_minute=rate, burst=burst, now=NOW), NOW, []

    for rest, asks in steps:
        now += rest
        begins, bucket = places(bucket, now, asks)
        begun += [(now - NOW).total_seconds() + wait for wait in begins]
    begun.sort()

    # A float holds these moments to far better than a microsecond.
    assert all(count <= burst + (at + 1e-5) * rate / 60 for count, at in enumerate(begun, start=1))


@given(rates, bursts, pauses, st.integers(0, 100))
def test_whoever_comes_back_as_told_gets_a_token_or_a_place(rate, burst, rest, before):
    _, bucket = places(Bucket(rate, burst, 0, NOW), NOW, before)

    kept, wait, bucket = line_up(bucket, NOW + rest, line_seconds=LINE)
    # Half a microsecond is lost where a moment is told in whole ones.
    again = NOW + rest + timedelta(seconds=wait, microseconds=1)

    assert kept or line_up(bucket, again, line_seconds=LINE).is_kept


@given(st.integers(1, 1_200), st.integers(1, 60))
def test_no_token_is_lost_while_there_is_a_line(rate, seconds):
    """Asked once a second only, each token that flowed in by then is somebody's."""
    bucket, begun = Bucket(rate, 1, 0, NOW), 0

    for second in range(seconds):
        begins, bucket = places(bucket, NOW + timedelta(seconds=second), 2 * rate // 60 + 2)
        begun += len(begins)

    assert begun >= (seconds - 1) * rate // 60
