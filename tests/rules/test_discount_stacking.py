"""Several codes on one cart: which go together, and one price in whatever order (EC-018, S2-126)."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from itertools import permutations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipelines.discounts.cart import Cart, Line
from pipelines.discounts.pricing import Quote
from pipelines.discounts.refusals import StackingNotAllowed
from pipelines.discounts.rules import DiscountKind, DiscountRules, price
from pipelines.discounts.stacking import OnCart, Stack, Unfit, price_stack, refuse_stacking
from pipelines.discounts.tiers import Tier
from tests.rules.test_discount_pricing import carts

PERCENT, FIXED = DiscountKind.PERCENT, DiscountKind.FIXED
NOW = datetime(2026, 5, 5, 12, tzinfo=UTC)


def percent(code: str, basis_points: int, group: str | None = None, **rules: object) -> OnCart:
    told = DiscountRules(PERCENT, percent_bp=basis_points, stacking_group=group)
    return OnCart(code, replace(told, **rules))


def fixed(code: str, amount: int, group: str | None = None, **rules: object) -> OnCart:
    told = DiscountRules(FIXED, amount_minor=amount, currency="USD", stacking_group=group)
    return OnCart(code, replace(told, **rules))


def cart(*lines: tuple[str, int]) -> Cart:
    return Cart("cart", "USD", tuple(Line(sku, 1, unit) for sku, unit in lines))


def stacked(codes: list[OnCart], wanted: Cart) -> Stack:
    told = price_stack(codes, wanted)
    assert isinstance(told, Stack)
    return told


rules = st.builds(
    DiscountRules,
    kind=st.just(PERCENT),
    percent_bp=st.integers(1, 10_000),
    products=st.sampled_from([None, ("A",), ("A", "B")]),
) | st.builds(
    DiscountRules,
    kind=st.just(FIXED),
    amount_minor=st.integers(1, 10**8),
    currency=st.just("USD"),
    min_subtotal_minor=st.sampled_from([None, 5_000]),
    products=st.sampled_from([None, ("B",), ("B", "C")]),
)


@given(carts, st.lists(rules, min_size=2, max_size=3))
def test_ec018_any_order_of_applying_ends_in_one_quote(
    wanted: Cart, chosen: list[DiscountRules]
) -> None:
    """EC-018, S2-126: line by line, with what each code takes off; nothing falls below zero."""
    wanted = replace(wanted, currency="USD")
    codes = [OnCart(f"CODE{place}", one) for place, one in enumerate(chosen)]

    told = [price_stack(order, wanted) for order in permutations(codes)]

    first = told[0]
    if isinstance(first, Unfit):
        assert {(one.code, one.why.code) for one in told if isinstance(one, Unfit)} == {
            (first.code, first.why.code)
        }
        assert all(isinstance(one, Unfit) for one in told)
        return
    assert all(one == first for one in told)
    assert sum(first.discounts.values()) == first.quote.discount_minor
    assert all(off >= 0 for off in first.discounts.values())
    assert all(0 <= line.discount_minor <= line.gross_minor for line in first.quote.lines)
    net = first.quote.subtotal_minor - first.quote.discount_minor
    assert first.quote.total_minor == net + (0 if wanted.includes_tax else first.quote.tax_minor)


@given(carts, st.lists(rules, min_size=1, max_size=2), st.permutations("KLM"), st.integers(1, 500))
def test_s2_127_one_code_more_never_costs_more(
    wanted: Cart, chosen: list[DiscountRules], names: list[str], added: int
) -> None:
    """S2-126, S2-127: a few percent beside codes whose tiers begin at this very cart's price.

    Of codes for certain products the parts of a minor unit may fall otherwise, one a line.
    """
    wanted = replace(wanted, currency="USD")
    begins = max(1, wanted.subtotal_minor)
    codes = [percent(names[0], added)]
    for name, one in zip(names[1:], chosen, strict=False):
        more = Tier(begins, 10_000) if one.kind is PERCENT else Tier(begins, None, 10**9)
        one = replace(one, currency="USD", min_subtotal_minor=None, tiers=(more,))
        codes.append(OnCart(name, one))
    more, less = price_stack(codes, wanted), price_stack(codes[1:], wanted)
    assume(isinstance(more, Stack))
    assert isinstance(more, Stack)
    assert isinstance(less, Stack)

    is_shared = any(one.products for one in chosen) and len(wanted.lines) > 1
    parts = len(wanted.lines) if is_shared else 0
    assert more.quote.discount_minor >= less.quote.discount_minor - parts


@pytest.mark.parametrize("names", ["AB", "BA"])
def test_s2_127_a_tier_is_reached_by_prices_however_the_codes_are_spelled(names: str) -> None:
    """S2-127: 10 %, 20 % from 100.00 on, beside a half and 5.00: of 100.00 the tier is reached."""
    tiers = (Tier(10_000, percent_bp=2_000),)
    tenth = percent(names[0], 1_000, tiers=tiers, currency="USD")

    halved = stacked([tenth, percent(names[1], 5_000)], cart(("X", 10_000)))
    lowered = stacked([tenth, fixed("C", 500)], cart(("X", 10_000)))

    assert halved.quote.total_minor == 4_000
    assert lowered.quote.total_minor == 7_500


@given(carts, rules)
def test_ec018_one_code_is_priced_as_it_is_alone(wanted: Cart, one: DiscountRules) -> None:
    alone = price(one, wanted, NOW, is_first_order=True)

    told = price_stack([OnCart("CODE", one, NOW)], wanted)

    if isinstance(alone, Quote):
        assert isinstance(told, Stack)
        assert (told.quote, told.discounts) == (alone, {"CODE": alone.discount_minor})
    else:
        assert isinstance(told, Unfit)
        assert told.why.code == alone.code


@pytest.mark.parametrize(
    ("codes", "lines", "discounts", "shares"),
    [
        # Percentages first, of the price: 10 % of 100.00, and only then 5.00.
        ([fixed("A", 500), percent("B", 1000)], [("X", 10_000)], {"B": 1_000, "A": 500}, [1_500]),
        # One percentage after the other, by the text: of what the first has left.
        ([percent("B", 5000), percent("A", 1000)], [("X", 1_000)], {"A": 100, "B": 450}, [550]),
        # A fixed amount takes no more than is left.
        ([fixed("A", 900), percent("B", 5000)], [("X", 1_000)], {"B": 500, "A": 500}, [1_000]),
        ([percent("A", 10_000), fixed("B", 5)], [("X", 9)], {"A": 9, "B": 0}, [9]),
        # Each on its own lines, shared by what is left of them.
        (
            [percent("A", 5000, products=("X",)), fixed("B", 300)],
            [("X", 200), ("Y", 200)],
            {"A": 100, "B": 300},
            [200, 200],
        ),
        # A minimum is judged on prices before any discount.
        (
            [percent("A", 5000), fixed("B", 100, min_subtotal_minor=1_000)],
            [("X", 1_000)],
            {"A": 500, "B": 100},
            [600],
        ),
    ],
)
def test_ec018_each_code_is_for_what_those_before_it_have_left(
    codes: list[OnCart], lines: list[tuple[str, int]], discounts: dict[str, int], shares: list[int]
) -> None:
    told = stacked(codes, cart(*lines))

    assert told.discounts == discounts
    assert [line.discount_minor for line in told.quote.lines] == shares


def test_ec018_the_code_that_is_not_for_the_cart_is_named() -> None:
    told = price_stack([percent("A", 1000), fixed("B", 5, products=("Z",))], cart(("X", 9)))

    assert isinstance(told, Unfit)
    assert (told.code, told.why.code) == ("B", "no_eligible_items")


ALONE, SHIP, LOYAL, SEASON = (
    percent("ALONE", 1000),
    fixed("SHIP", 500, "shipping"),
    percent("LOYAL", 500, "loyalty"),
    percent("SEASON", 500, "season"),
)


@pytest.mark.parametrize(
    ("there", "new", "reason", "named"),
    [
        ([ALONE], percent("OTHER", 1000), "code_stacks_with_none", "ALONE"),
        ([ALONE], SHIP, "code_stacks_with_none", "ALONE"),
        ([SHIP], ALONE, "new_code_stacks_with_none", "SHIP"),
        ([SHIP, LOYAL], ALONE, "new_code_stacks_with_none", "LOYAL and SHIP"),
        ([SHIP], fixed("SHIP2", 100, "shipping"), "same_group", "SHIP"),
        ([LOYAL, SHIP], fixed("SHIP2", 100, "shipping"), "same_group", "SHIP"),
        ([SHIP], LOYAL, None, ""),
        ([SHIP, LOYAL], SEASON, None, ""),
        (
            [SHIP, SEASON, LOYAL],
            percent("VIP", 100, "vip"),
            "too_many_codes",
            "LOYAL, SEASON and SHIP",
        ),
    ],
)
def test_ec018_codes_go_together_where_their_groups_differ(
    there: list[OnCart], new: OnCart, reason: str | None, named: str
) -> None:
    """EC-018, S2-121, S2-126: the default is one code for a cart."""
    refused = refuse_stacking(there, new, most=3)

    if reason is None:
        assert refused is None
        return
    assert isinstance(refused, StackingNotAllowed)
    assert refused.extra == {"reason": reason, "discount_code": re.split(", | and ", named)[0]}
    assert f" {named}" in refused.detail
