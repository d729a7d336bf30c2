"""The time a job will take is told from what it wants and what is already waiting."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.provisioning.eta import ORDER_SECONDS, VendorLoad, job_seconds, vendor_seconds

loads = st.builds(
    VendorLoad,
    wanted=st.integers(0, 100_000),
    ahead=st.integers(0, 100_000),
    tokens=st.floats(0, 1_000),
    calls_per_second=st.sampled_from([0.5, 1.0, 10.0, 100.0]),
)


@pytest.mark.parametrize(
    ("wanted", "ahead", "tokens", "rate", "seconds"),
    [
        (100, 0, 0, 1.0, 100),
        (100, 0, 50, 1.0, 50),
        (100, 0, 200, 1.0, 0),
        (100, 40, 0, 10.0, 14),
        # A larger job beside it takes every second call, and no more.
        (100, 9_000, 0, 10.0, 20),
    ],
)
def test_a_vendor_s_rate_says_how_long_its_orders_take(
    wanted: int, ahead: int, tokens: float, rate: float, seconds: float
):
    load = VendorLoad(wanted, ahead, tokens, rate)

    assert vendor_seconds(load) == pytest.approx(seconds + ORDER_SECONDS)


def test_vendors_work_side_by_side_and_the_slowest_tells():
    slow, fast = VendorLoad(60, 0, 0, 1.0), VendorLoad(60, 0, 0, 10.0)

    assert job_seconds(pool_items=0, vendors=[fast, slow]) == vendor_seconds(slow)
    assert job_seconds(pool_items=400_000, vendors=[fast]) == 200


@given(loads, st.integers(1, 1_000))
def test_more_orders_never_take_less_time(load: VendorLoad, more: int):
    larger = VendorLoad(load.wanted + more, load.ahead, load.tokens, load.calls_per_second)

    assert vendor_seconds(larger) >= vendor_seconds(load) >= 0


def test_nothing_wanted_takes_no_time():
    assert vendor_seconds(VendorLoad(0, 500, 0, 1.0)) == 0
    assert job_seconds(pool_items=0, vendors=[]) == 0
