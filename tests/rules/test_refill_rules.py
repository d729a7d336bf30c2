"""How much is bought ahead: never above what is wanted, never above the ceiling (S4-114..116)."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pipelines.refilling.rules import (
    Level,
    Means,
    Plan,
    Waits,
    allowance,
    fills,
    purchase,
    shared,
)

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
counts = st.integers(0, 5_000)
plans = st.lists(
    st.builds(
        Plan,
        needed=st.integers(1, 2_000),
        by=st.integers(-1_000, 100_000).map(lambda minutes: NOW + timedelta(minutes=minutes)),
    ),
    max_size=4,
)
levels = st.builds(
    Level,
    stock=counts,
    on_the_way=counts,
    low_watermark=counts,
    target=st.none() | counts,
    is_filling=st.booleans(),
    plans=plans,
)
means = st.builds(
    Means,
    cost_minor=st.integers(0, 20_000),
    spent_minor=st.integers(0, 2_000_000),
    ceiling_minor=st.integers(0, 2_000_000),
    cards_per_minute=st.integers(0, 3_000) | st.sampled_from([0.1, 0.5, 1.5]),
    minute=st.integers(0, 10**8),
)


@given(levels, means)
def test_never_above_the_target_or_the_plans(level: Level, given_means: Means) -> None:
    bought = purchase(level, given_means, now=NOW, lead_seconds=3600)
    planned = sum(plan.needed for plan in level.plans if plan.by > NOW)

    assert bought.count >= 0
    if bought.count:
        assert level.has + bought.count <= max(level.target or 0, planned)


@given(levels, means)
def test_never_above_the_ceiling_nor_the_rate(level: Level, given_means: Means) -> None:
    bought = purchase(level, given_means, now=NOW, lead_seconds=3600)

    assert bought.count <= given_means.cards_now
    if bought.count:
        spent = given_means.spent_minor + bought.count * given_means.cost_minor
        assert spent <= given_means.ceiling_minor


@given(levels, means)
def test_what_is_not_bought_is_explained(level: Level, given_means: Means) -> None:
    bought = purchase(level, given_means, now=NOW, lead_seconds=3600)

    assert (bought.waits is None) == (bought.count == bought.missing and bought.missing > 0)


def test_filling_begins_at_the_low_watermark_and_ends_at_the_target() -> None:
    level = Level(stock=11, on_the_way=0, low_watermark=10, target=50, is_filling=False)

    assert not fills(level)
    assert fills(Level(9, 1, 10, 50, False))
    assert fills(Level(40, 9, 10, 50, True))
    assert not fills(Level(40, 10, 10, 50, True))


def test_s4_116_a_launch_is_scheduled_back_from_its_date_and_spread() -> None:
    """600 cards at 10 a minute take an hour: nothing two hours before, all of it at the date."""
    slow = Means(cost_minor=1, spent_minor=0, ceiling_minor=10**6, cards_per_minute=10)

    def missing(minutes_before: int, has: int) -> int:
        plan = Plan(600, NOW + timedelta(minutes=minutes_before))
        level = Level(has, 0, 0, None, False, [plan])
        return purchase(level, slow, now=NOW, lead_seconds=0).missing

    assert missing(120, 0) == 0
    assert missing(59, 0) == 10
    assert missing(30, 300) == 0
    assert missing(29, 300) == 10
    assert missing(30, 0) == 300


def test_a_launch_begins_earlier_when_the_ceiling_spreads_it_over_days() -> None:
    """100 cards a day are what the ceiling allows: 250 cards begin more than two days before."""
    dear = Means(cost_minor=100, spent_minor=0, ceiling_minor=10_000, cards_per_minute=1_000)
    level = Level(0, 0, 0, None, False, [Plan(250, NOW + timedelta(days=2))])

    assert purchase(level, dear, now=NOW, lead_seconds=0).missing == 50


def test_the_ceiling_is_named_when_it_is_what_stops() -> None:
    spent = Means(cost_minor=100, spent_minor=950, ceiling_minor=1_000, cards_per_minute=1_000)

    bought = purchase(Level(0, 0, 0, 5, False), spent, now=NOW, lead_seconds=0)

    assert (bought.count, bought.missing, bought.waits) == (0, 5, Waits.CEILING)


@given(means, st.integers(0, 5_000))
def test_s4_116_what_a_launch_takes_is_what_can_be_bought_by_then(
    given_means: Means, missing: int
) -> None:
    """What is left of today's ceiling and later days': never promised too early, within a second."""
    takes = given_means.seconds_for(missing, NOW)

    if takes is not None:
        ready = NOW + timedelta(seconds=takes + 1)
        assert given_means.within(NOW, ready) >= missing
        assert given_means.within(NOW, NOW + timedelta(seconds=takes * 0.99 - 1)) <= missing
    else:
        assert given_means.within(NOW, NOW + timedelta(days=9)) <= given_means.affordable


def test_s4_116_a_launch_counts_what_is_spent_today_and_what_others_want_before_it() -> None:
    """Ten cards a day at 60 an hour; noon, and today's ten are bought: another comes after midnight."""
    means = Means(cost_minor=100, spent_minor=0, ceiling_minor=1_000, cards_per_minute=1)
    spent = Means(cost_minor=100, spent_minor=1_000, ceiling_minor=1_000, cards_per_minute=1)
    hours = 3600

    assert means.seconds_for(10, NOW) == 600
    assert means.seconds_for(10, NOW, ahead=50) == hours
    assert spent.seconds_for(10, NOW) == 12 * hours + 600
    assert spent.seconds_for(11, NOW) == 36 * hours + 60
    level = Level(0, 0, 0, None, False, [Plan(10, NOW + timedelta(hours=11))])
    assert purchase(level, spent, now=NOW, lead_seconds=0).waits is Waits.CEILING


def test_half_a_card_a_minute_is_one_in_every_other() -> None:
    assert [allowance(0.5, minute) for minute in range(4)] == [0, 1, 0, 1]
    assert [allowance(1.5, minute) for minute in range(4)] == [1, 2, 1, 2]
    assert sum(allowance(0.3, minute) for minute in range(1_000)) == 300


@given(st.integers(-50, 500), st.lists(st.integers(0, 60), max_size=12), st.integers(0, 10**9))
def test_a_vendor_s_room_is_used_up_and_parted_evenly(
    room: int, wishes: list[int], turn: int
) -> None:
    got = shared(room, wishes, turn=turn)

    assert sum(got) == min(max(0, room), sum(wishes))
    assert all(0 <= one <= wish for one, wish in zip(got, wishes, strict=True))
    short = [one for one, wish in zip(got, wishes, strict=True) if one < wish]
    assert not short or max(got) <= min(short) + 1


def test_what_cannot_be_parted_goes_round() -> None:
    assert [shared(1, [9, 9, 9], turn=minute) for minute in range(3)] == [
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
    ]
