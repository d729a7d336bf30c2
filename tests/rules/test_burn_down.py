"""The arithmetic of run-out dates: exact, and the same as walking day by day (S4-052)."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pipelines.credit.burn_down import (
    HORIZON_DAYS,
    LEAST_DAYS,
    WINDOW_DAYS,
    Due,
    Pace,
    cards_left,
    days_left,
    free_on,
    pace_of,
)

TODAY = date(2026, 11, 27)
AMOUNTS = st.integers(min_value=0, max_value=10**12)
PACES = st.builds(
    Pace, spent_minor=st.integers(0, 10**9), days=st.integers(LEAST_DAYS, WINDOW_DAYS)
)
DUES = st.lists(
    st.builds(Due, day=st.integers(0, 60), charge_minor=st.integers(0, 10**9)), max_size=5
)


@given(free=st.integers(0, 10**9), pace=PACES, due=DUES)
def test_s4_052_the_day_is_the_first_on_which_nothing_is_free(
    free: int, pace: Pace, due: list[Due]
) -> None:
    walked = next((d for d in range(400) if free_on(free, pace, due, day=d) == 0), None)
    found = days_left(free, pace, due)

    if walked is None:
        assert found is None or found >= 400
    else:
        assert found == walked


@given(free=AMOUNTS, pace=PACES, due=DUES, more=st.integers(1, 10**9))
def test_s4_052_more_credit_never_ends_sooner_and_more_work_never_later(
    free: int, pace: Pace, due: list[Due], more: int
) -> None:
    def last(day: int | None) -> int:
        return HORIZON_DAYS + 1 if day is None else day

    now = last(days_left(free, pace, due))

    assert last(days_left(free + more, pace, due)) >= now
    assert last(days_left(free, pace, [*due, Due(3, more)])) <= now
    assert last(days_left(free, Pace(pace.spent_minor + more, pace.days), due)) <= now


@given(free=AMOUNTS, pace=PACES, due=DUES, times=st.integers(2, 1000))
def test_s4_052_the_unit_of_money_does_not_matter(
    free: int, pace: Pace, due: list[Due], times: int
) -> None:
    scaled = [Due(one.day, one.charge_minor * times) for one in due]
    found = days_left(free * times, Pace(pace.spent_minor * times, pace.days), scaled)

    assert found == days_left(free, pace, due)


@given(free=AMOUNTS, cards=st.integers(1, 10**6), charged=st.integers(1, 10**12))
def test_s4_052_the_cards_that_are_left_are_paid_for_and_one_more_is_not(
    free: int, cards: int, charged: int
) -> None:
    left = cards_left(free, cards=cards, charged_minor=charged)

    assert left is not None
    assert left * charged <= free * cards < (left + 1) * charged


def test_s4_052_without_spending_it_does_not_run_out_and_without_credit_it_has() -> None:
    still = pace_of(0, first=None, today=TODAY)

    assert days_left(1, still, []) is None
    assert days_left(0, still, []) == 0
    assert days_left(-5, still, []) == 0
    assert days_left(100, still, [Due(9, 100)]) == 9
    assert days_left(10**12, Pace(1, 30), []) is None


def test_s4_052_a_first_day_is_spread_over_a_week_and_undoing_is_no_pace() -> None:
    assert pace_of(700, first=TODAY, today=TODAY) == Pace(700, LEAST_DAYS)
    assert pace_of(700, first=TODAY - timedelta(days=13), today=TODAY) == Pace(700, 14)
    assert pace_of(700, first=TODAY - timedelta(days=29), today=TODAY) == Pace(700, WINDOW_DAYS)
    assert pace_of(-700, first=TODAY, today=TODAY).spent_minor == 0
    assert Pace(1, 30).per_day_minor == 1


def test_s4_052_cards_are_told_by_the_latest_job_where_none_was_issued() -> None:
    assert cards_left(10_000, cards=0, charged_minor=0, latest_minor=2_500) == 4
    assert cards_left(10_000, cards=0, charged_minor=0) is None
    assert cards_left(-1, cards=2, charged_minor=100) == 0
