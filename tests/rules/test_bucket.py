"""How the token bucket shares a vendor's rate: never more than the rate and the burst."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.providers.bucket import Bucket, full, pause, take

NOW = datetime(2026, 1, 1, tzinfo=UTC)

rates = st.integers(1, 60_000)
bursts = st.integers(1, 1_000)
pauses = st.integers(0, 120_000_000).map(lambda count: timedelta(microseconds=count))


def test_a_full_bucket_grants_its_burst_and_then_the_rate():
    bucket = full(rate_per_minute=600, burst=10, now=NOW)

    granted, bucket, wait = take(bucket, NOW, 50)
    assert (granted, wait) == (10, 0.0)

    granted, bucket, wait = take(bucket, NOW, 50)
    assert (granted, wait) == (0, 0.1)

    granted, bucket, wait = take(bucket, NOW + timedelta(seconds=0.5), 50)
    assert (granted, wait) == (5, 0.0)


def test_a_lot_smaller_than_what_stands_leaves_the_rest():
    granted, bucket, _ = take(full(rate_per_minute=60, burst=10, now=NOW), NOW, 4)

    assert (granted, bucket.micro_tokens) == (4, 6_000_000)


def test_a_long_rest_fills_no_more_than_the_burst():
    later = NOW + timedelta(days=365)

    assert take(Bucket(60, 10, 0, NOW), later, 50).granted == 10


def test_an_empty_handed_take_leaves_the_bucket_as_it_is():
    bucket = Bucket(60, 10, 0, NOW)

    assert take(bucket, NOW + timedelta(seconds=0.9), 1) == (0, bucket, 0.1)


def test_a_pause_is_waited_out_and_fills_nothing():
    until = NOW + timedelta(seconds=30)
    bucket = pause(full(rate_per_minute=60, burst=10, now=NOW), until)

    assert take(bucket, NOW, 1) == (0, bucket, 31.0)
    assert take(bucket, until, 1) == (0, bucket, 1.0)
    assert take(bucket, until + timedelta(seconds=2), 5).granted == 2


def test_a_clock_that_steps_back_grants_nothing_twice():
    _, bucket, _ = take(full(rate_per_minute=60, burst=1, now=NOW), NOW, 1)

    _, bucket, _ = take(bucket, NOW - timedelta(hours=1), 1)
    assert take(bucket, NOW, 1).granted == 0


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (1, 0), (-1, 1)])
def test_a_bucket_without_rate_or_burst_is_refused(rate, burst):
    with pytest.raises(ValueError, match="at least 1"):
        Bucket(rate, burst, 0, NOW)


@given(rates, bursts, st.lists(st.tuples(pauses, st.integers(1, 2_000)), max_size=60))
def test_it_never_grants_more_than_the_rate_and_the_burst(rate, burst, steps):
    bucket, now, total = full(rate_per_minute=rate, burst=burst, now=NOW), NOW, 0

    for rest, want in steps:
        now += rest
        granted, bucket, _ = take(bucket, now, want)
        total += granted
        elapsed = (now - NOW) // timedelta(microseconds=1)
        assert 0 <= granted <= want
        assert total * 60_000_000 <= burst * 60_000_000 + elapsed * rate


@given(rates, bursts, pauses, st.integers(1, 50))
def test_whoever_waits_as_told_gets_at_least_one(rate, burst, rest, want):
    bucket = Bucket(rate, burst, 0, NOW)

    granted, bucket, wait = take(bucket, NOW + rest, want)
    if granted == 0:
        granted = take(bucket, NOW + rest + timedelta(seconds=wait), want).granted

    assert 1 <= granted <= want


@given(rates, st.integers(1, 400))
def test_asking_often_does_not_slow_the_refill(rate, asks):
    bucket, total = Bucket(rate, 10_000, 0, NOW), 0

    for ask in range(1, asks + 1):
        granted, bucket, _ = take(bucket, NOW + timedelta(milliseconds=10 * ask), 10_000)
        total += granted

    assert total in {asks * rate // 6_000, asks * rate // 6_000 - 1}
