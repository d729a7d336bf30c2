"""When the breaker stops calls to a vendor, and how it finds out that the vendor is back."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.providers.breaker import (
    OPEN_MAX_SECONDS,
    PROBE_SECONDS,
    Breaker,
    BreakerState,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def seconds(count):
    return timedelta(seconds=count)


def after(outcomes, breaker=None, *, now=NOW):
    """The breaker after calls that succeeded ('.') or failed ('x')."""
    breaker = breaker or Breaker()
    for outcome in outcomes:
        breaker = breaker.after_failure(now) if outcome == "x" else breaker.after_success()
    return breaker


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ("x" * 9, BreakerState.CLOSED),
        ("x" * 10, BreakerState.OPEN),
        ("x" * 9 + "." + "x" * 9, BreakerState.CLOSED),
        (".x" * 9, BreakerState.CLOSED),
        (".x" * 10, BreakerState.OPEN),
        ("..x" * 40, BreakerState.CLOSED),
        ("." * 50 + "x" * 9 + "." + "x" * 9 + "." + "x" * 6, BreakerState.CLOSED),
        ("." * 50 + "x" * 9 + "." + "x" * 9 + "." + "x" * 7, BreakerState.OPEN),
    ],
)
def test_ten_failures_in_a_row_or_half_of_the_window_open_it(outcomes, state):
    assert after(outcomes).state == state


def test_an_open_breaker_waits_thirty_seconds():
    breaker = after("x" * 10)

    assert not breaker.may_call(NOW)
    assert not breaker.may_call(NOW + seconds(29.999))
    assert breaker.may_call(NOW + seconds(30))


def test_after_the_wait_one_call_probes_and_the_others_wait_for_it():
    probing = after("x" * 10).beginning(NOW + seconds(30))

    assert probing.state is BreakerState.HALF_OPEN
    assert not probing.may_call(NOW + seconds(31))


def test_a_lost_probe_makes_room_for_another():
    probing = after("x" * 10).beginning(NOW + seconds(30))

    assert not probing.may_call(NOW + seconds(30 + PROBE_SECONDS - 1))
    assert probing.may_call(NOW + seconds(30 + PROBE_SECONDS))
    assert probing.beginning(NOW + seconds(500)).blocked_until == NOW + seconds(500 + PROBE_SECONDS)


def test_a_probe_that_succeeds_closes_it_and_forgets_the_past():
    assert after("x" * 10).beginning(NOW + seconds(30)).after_success() == Breaker()


def test_each_failed_probe_doubles_the_wait_up_to_ten_minutes():
    breaker, now, waits = after("x" * 10), NOW, []

    for _ in range(7):
        waits.append((breaker.blocked_until - now).total_seconds())
        now = breaker.blocked_until
        breaker = breaker.beginning(now).after_failure(now)

    assert waits == [30, 60, 120, 240, 480, 600, 600]


def test_calls_that_began_before_it_opened_change_nothing():
    opened = after("x" * 10)

    assert opened.after_success() == opened
    assert opened.after_failure(NOW + seconds(20)) == opened


def test_beginning_a_call_leaves_a_closed_breaker_as_it_is():
    breaker = after("x.x")

    assert breaker.beginning(NOW) == breaker


def test_the_fields_are_flat():
    assert [field.name for field in fields(Breaker)] == [
        "state",
        "failures_in_row",
        "window",
        "window_calls",
        "openings",
        "blocked_until",
        "refuses_keys",
        "since",
    ]


@given(st.lists(st.booleans(), max_size=200))
def test_it_opens_exactly_when_a_plain_list_of_outcomes_says_so(failures):
    breaker, seen = Breaker(), []

    for failed in failures:
        breaker = breaker.after_failure(NOW) if failed else breaker.after_success()
        seen = [*seen, failed][-50:]
        ten_in_a_row = len(seen) >= 10 and all(seen[-10:])
        half = len(seen) >= 20 and sum(seen) * 2 >= len(seen)
        if failed and (ten_in_a_row or half):
            assert breaker.state is BreakerState.OPEN
            return
        assert breaker.state is BreakerState.CLOSED


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 400)), max_size=200))
def test_it_always_lets_a_call_through_in_the_end(steps):
    """Whatever happened, and whatever was lost, no breaker stays shut for good."""
    breaker, now = Breaker(), NOW

    for failed, pause in steps:
        now += seconds(pause)
        if breaker.may_call(now):
            breaker = breaker.beginning(now)
        breaker = breaker.after_failure(now) if failed else breaker.after_success()
        assert 0 <= breaker.window < 2**50
        assert breaker.may_call(now + seconds(OPEN_MAX_SECONDS))


@given(st.lists(st.sampled_from("x.k"), max_size=40))
def test_ec060_refused_keys_let_no_order_through_until_a_check_found_them_good(outcomes):
    """EC-060: whatever answers come late from calls that had begun."""
    breaker = Breaker().after_keys_refused(NOW)
    for outcome in outcomes:
        breaker = breaker.after_keys_refused(NOW) if outcome == "k" else after(outcome, breaker)
    much_later = NOW + seconds(OPEN_MAX_SECONDS)

    assert not breaker.may_call(much_later)
    assert not breaker.may_call(NOW, is_check=True)
    assert breaker.may_call(much_later, is_check=True)
    checked = breaker.beginning(much_later).after_success()
    assert checked.is_recovering
    assert not checked.after_success().is_recovering


def test_ec060_the_wait_for_good_keys_grows_from_a_minute_to_ten():
    """EC-060: asking often would only lock the account."""
    breaker, waits = Breaker(), []
    for _ in range(6):
        breaker = breaker.after_keys_refused(NOW)
        waits.append((breaker.blocked_until - NOW).total_seconds())
        breaker = breaker.beginning(breaker.blocked_until)

    assert waits == [60, 120, 240, 480, 600, 600]
    assert breaker.since == NOW
