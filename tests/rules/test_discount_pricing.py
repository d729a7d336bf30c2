"""Discounts to the minor unit: rounding, shares of lines, tax and every rule (EC-019..021, 032, 053)."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.discounts.cart import UNIT_MINOR_MAX, Cart, Line
from pipelines.discounts.pricing import Quote, allocate, percent_of, quote, tax_of
from pipelines.discounts.rules import DiscountKind, DiscountRules, price
from pipelines.errors import Refusal

NOW = datetime(2026, 5, 5, 12, tzinfo=UTC)
PERCENT, FIXED = DiscountKind.PERCENT, DiscountKind.FIXED

lines = st.lists(
    st.builds(
        Line,
        sku=st.sampled_from(["A", "B", "C"]),
        quantity=st.integers(1, 50),
        unit_minor=st.integers(0, 10**7),
        tax_bp=st.sampled_from([0, 700, 1900, 2100]),
    ),
    min_size=1,
    max_size=500,
)
carts = st.builds(
    Cart,
    reference=st.just("cart"),
    currency=st.sampled_from(["USD", "JPY", "KWD"]),
    lines=lines.map(tuple),
    includes_tax=st.booleans(),
)


def cart(*units: int, currency: str = "USD", sku: str = "A") -> Cart:
    return Cart("cart", currency, tuple(Line(sku, 1, unit) for unit in units))


def priced(rules: DiscountRules, wanted: Cart, now: datetime = NOW) -> Quote:
    told = price(rules, wanted, now, is_first_order=True)
    assert isinstance(told, Quote)
    return told


@given(carts, st.integers(1, 10_000))
def test_ec021_shares_of_lines_sum_to_the_discount_and_none_is_below_zero(
    wanted: Cart, basis_points: int
) -> None:
    told = priced(DiscountRules(PERCENT, percent_bp=basis_points), wanted)

    assert told.discount_minor == percent_of(wanted.subtotal_minor, basis_points)
    assert all(0 <= line.discount_minor <= line.gross_minor for line in told.lines)
    assert told.subtotal_minor == wanted.subtotal_minor
    net = wanted.subtotal_minor - told.discount_minor
    assert told.total_minor == (net if wanted.includes_tax else net + told.tax_minor)


@given(carts, st.integers(1, UNIT_MINOR_MAX))
def test_ec019_a_discount_takes_no_more_than_all_of_it(wanted: Cart, amount: int) -> None:
    rules = DiscountRules(FIXED, amount_minor=amount, currency=wanted.currency)

    told = priced(rules, wanted)

    assert told.discount_minor == min(amount, wanted.subtotal_minor)


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=500), st.data())
def test_ec021_no_share_is_a_unit_off_what_it_would_be_in_fractions(
    weights: list[int], data: st.DataObject
) -> None:
    whole = sum(weights)
    amount = data.draw(st.integers(0, whole))

    shares = allocate(amount, weights)

    assert sum(shares) == amount
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share * whole - amount * weight) < max(whole, 1)


@pytest.mark.parametrize(
    ("units", "basis_points", "shares"),
    [
        ((3333, 3333, 3333), 1000, [334, 333, 333]),  # the first of equals has the odd cent
        ((3333, 3333, 3333), 10_000, [3333, 3333, 3333]),
        ((1,), 5000, [1]),  # a half is rounded up
        ((1,), 4999, [0]),
        ((0, 100), 1000, [0, 10]),
    ],
)
def test_ec021_odd_cents_have_one_place(
    units: tuple[int, ...], basis_points: int, shares: list[int]
) -> None:
    told = priced(DiscountRules(PERCENT, percent_bp=basis_points), cart(*units))

    assert [line.discount_minor for line in told.lines] == shares


@pytest.mark.parametrize(
    ("net", "basis_points", "is_included", "tax"),
    [
        (9000, 1900, False, 1710),
        (9000, 1900, True, 1437),
        (105, 1900, True, 17),  # 16.76
        (3, 1900, False, 1),  # 0.57
        (0, 1900, True, 0),
        (100, 0, True, 0),
        (10_700, 700, True, 700),
    ],
)
def test_ec032_tax_is_of_what_is_left_to_pay(
    net: int, basis_points: int, is_included: bool, tax: int
) -> None:
    assert tax_of(net, basis_points, is_included=is_included) == tax


def test_ec032_a_discount_lowers_the_tax_of_each_line_by_its_share() -> None:
    lines = (Line("A", 1, 10_000, tax_bp=1900), Line("B", 1, 10_000, tax_bp=700))
    wanted = Cart("cart", "EUR", lines)

    told = quote(wanted, 2_000, (0, 1))

    assert [(line.net_minor, line.tax_minor) for line in told.lines] == [(9000, 1710), (9000, 630)]
    assert told.total_minor == 18_000 + 2_340


SOON = DiscountRules(PERCENT, percent_bp=1000, starts_at=NOW, expires_at=NOW + timedelta(hours=1))
MINIMUM = DiscountRules(PERCENT, percent_bp=1000, currency="USD", min_subtotal_minor=5000)


@pytest.mark.parametrize(
    ("rules", "wanted", "now", "code"),
    [
        (SOON, cart(100), NOW - timedelta(seconds=1), "code_not_started"),
        (SOON, cart(100), NOW, None),
        (SOON, cart(100), NOW + timedelta(minutes=59), None),
        (SOON, cart(100), NOW + timedelta(hours=1), "code_expired"),
        (MINIMUM, cart(5000), NOW, None),
        (MINIMUM, cart(4999), NOW, "min_order_not_met"),
        (MINIMUM, cart(5000, currency="EUR"), NOW, "currency_mismatch"),
        (DiscountRules(FIXED, amount_minor=5, currency="JPY"), cart(9), NOW, "currency_mismatch"),
        (DiscountRules(PERCENT, percent_bp=1), cart(9, currency="KWD"), NOW, None),
        (DiscountRules(PERCENT, percent_bp=1, products=("B",)), cart(9), NOW, "no_eligible_items"),
        (DiscountRules(PERCENT, percent_bp=1, products=("A",)), cart(9), NOW, None),
    ],
)
def test_ec010_ec020_ec053_each_rule_at_its_border(
    rules: DiscountRules, wanted: Cart, now: datetime, code: str | None
) -> None:
    told = price(rules, wanted, now, is_first_order=True)

    assert (told.code if isinstance(told, Refusal) else None) == code


def test_ec020_what_a_code_is_not_for_counts_for_nothing() -> None:
    """Neither towards the minimum, nor does it take a part of the discount."""
    rules = DiscountRules(
        PERCENT, percent_bp=1000, currency="USD", min_subtotal_minor=1000, products=("A",)
    )
    both = (Line("A", 1, 1000), Line("B", 1, 9000))

    told = priced(rules, Cart("cart", "USD", both))
    refused = price(
        rules, Cart("cart", "USD", (Line("A", 1, 999), both[1])), NOW, is_first_order=True
    )

    assert [line.discount_minor for line in told.lines] == [100, 0]
    assert isinstance(refused, Refusal)
    assert refused.extra == {"required_minor": 1000, "actual_minor": 999}


def test_ec020_a_first_order_is_asked_for_and_a_maximum_is_kept() -> None:
    first = DiscountRules(PERCENT, percent_bp=5000, first_order_only=True)
    capped = DiscountRules(PERCENT, percent_bp=5000, currency="USD", max_discount_minor=300)

    refused = price(first, cart(1000), NOW, is_first_order=False)

    assert isinstance(refused, Refusal)
    assert refused.code == "not_first_order"
    assert priced(capped, cart(1000)).discount_minor == 300


def test_ec016_another_order_or_price_is_another_cart() -> None:
    one, other = Line("A", 1, 5), Line("B", 1, 5)

    digests = {
        Cart("cart", "USD", lines).digest
        for lines in ((one, other), (other, one), (one,), (one, one))
    }

    assert len(digests) == 4
    assert Cart("cart", "USD", (one,)).digest == Cart("elsewhere", "USD", (one,)).digest
