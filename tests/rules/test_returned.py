"""What is paid back for units of a purchase: exact for whole lines, whatever the rounding (EC-033)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.checkout.returned import paid_for
from pipelines.discounts.cart import Cart, Line
from pipelines.discounts.pricing import quote
from pipelines.errors import ValidationFailed

lines = st.lists(
    st.builds(
        Line,
        sku=st.just("S"),
        quantity=st.integers(1, 9),
        unit_minor=st.integers(0, 99_999),
        tax_bp=st.sampled_from([0, 700, 1900]),
    ),
    min_size=1,
    max_size=6,
)


@given(lines, st.integers(0, 50_000), st.booleans())
def test_ec033_all_units_together_are_what_was_paid(
    bought: list[Line], discount: int, includes_tax: bool
) -> None:
    priced = quote(Cart("c", "USD", tuple(bought), includes_tax), discount, range(len(bought)))
    everything = [(place, line.quantity) for place, line in enumerate(bought)]

    assert paid_for(priced.as_json(), everything, {}) == priced.total_minor


@given(lines, st.integers(0, 50_000), st.data())
def test_ec033_units_that_come_back_one_by_one_are_never_a_unit_off(
    bought: list[Line], discount: int, data: Any
) -> None:
    told = quote(Cart("c", "USD", tuple(bought)), discount, range(len(bought))).as_json()
    place = data.draw(st.integers(0, len(bought) - 1))
    line = told["lines"][place]
    whole = line["net_minor"] + line["tax_minor"]

    for quantity in range(1, line["quantity"] + 1):
        amount = paid_for(told, [(place, quantity)], {})
        assert abs(amount - whole * quantity / line["quantity"]) <= 0.5
        assert 0 <= amount <= whole
    one_by_one = [paid_for(told, [(place, 1)], {place: n}) for n in range(line["quantity"])]
    assert sum(one_by_one) == whole


@pytest.mark.parametrize(
    ("returned", "back", "code"),
    [
        ([(1, 1)], {}, "not_bought"),
        ([(0, 3)], {0: 1}, "not_bought"),
        ([(0, 1), (0, 1)], {}, "not_bought"),
        ([(0, 2)], {0: 1}, "already_returned"),
        ([(0, 1)], {0: 2}, "already_returned"),
    ],
)
def test_ec033_what_was_not_bought_or_is_back_is_named(
    returned: list[tuple[int, int]], back: dict[int, int], code: str
) -> None:
    told = quote(Cart("c", "USD", (Line("S", 2, 100),)), 0, ()).as_json()

    with pytest.raises(ValidationFailed) as refused:
        paid_for(told, returned, back)
    assert refused.value.errors[0].code == code


@pytest.mark.parametrize(("lines", "words"), [(1, "the line 0 alone"), (3, "the lines 0 to 2")])
def test_ec033_a_line_that_is_not_there_is_answered_with_those_that_are(
    lines: int, words: str
) -> None:
    told = quote(Cart("c", "USD", (Line("S", 2, 100),) * lines), 0, ()).as_json()

    with pytest.raises(ValidationFailed) as refused:
        paid_for(told, [(0, 1), (lines, 1)], {})
    (error,) = refused.value.errors
    assert (error.detail, error.pointer) == (f"The cart has {words}.", "/lines/1/line")
