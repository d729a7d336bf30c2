"""Spend more, save more: which tier a subtotal reaches, and what that may never do (S2-127)."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.discounts.cart import UNIT_MINOR_MAX, Cart, Line
from pipelines.discounts.pricing import Quote
from pipelines.discounts.rule_checks import contradictions
from pipelines.discounts.rules import DiscountKind, DiscountRules, discount_of, price
from pipelines.discounts.stored_rules import rules_from, told_rules
from pipelines.discounts.tiers import Tier, tier_reached, tiers_cell

PERCENT, FIXED = DiscountKind.PERCENT, DiscountKind.FIXED
TEN = DiscountRules(
    PERCENT,
    percent_bp=1000,
    currency="USD",
    tiers=(Tier(10_000, percent_bp=1500), Tier(20_000, percent_bp=2000)),
)
FIVE = DiscountRules(
    FIXED,
    amount_minor=500,
    currency="USD",
    tiers=(Tier(10_000, amount_minor=1500), Tier(20_000, amount_minor=4000)),
)


@st.composite
def tiered(draw: st.DrawFn) -> DiscountRules:
    """Rules with tiers that contradict nothing."""
    kind = draw(st.sampled_from(DiscountKind))
    name = "percent_bp" if kind is PERCENT else "amount_minor"
    most = 10_000 if kind is PERCENT else UNIT_MINOR_MAX
    gives = sorted(draw(st.sets(st.integers(1, most), min_size=2, max_size=11)))
    begins = sorted(
        draw(
            st.sets(
                st.integers(2, 10**6) | st.integers(2, UNIT_MINOR_MAX),
                min_size=len(gives) - 1,
                max_size=len(gives) - 1,
            )
        )
    )
    tiers = tuple(
        Tier(begin, **{name: give}) for begin, give in zip(begins, gives[1:], strict=True)
    )
    cap = draw(st.none() | st.integers(1, 10**6)) if kind is PERCENT else None
    least = draw(st.none() | st.integers(1, begins[0] - 1))
    what: dict[str, Any] = {name: gives[0], "max_discount_minor": cap, "min_subtotal_minor": least}
    return DiscountRules(kind, currency="USD", tiers=tiers, **what)


#: Small and large ones, and what lies about the beginning of a tier.
amounts = st.integers(0, 10**6) | st.integers(0, UNIT_MINOR_MAX)


def off(rules: DiscountRules, amount: int) -> int:
    """What a code takes off lines that cost so much, where no other code was before it."""
    return discount_of(rules, amount, price_minor=amount)


@given(tiered(), amounts, amounts, st.data())
def test_s2_127_who_spends_more_saves_no_less(
    rules: DiscountRules, one: int, other: int, data: st.DataObject
) -> None:
    """And what truly holds of what is left to pay.

    Within a tier more spent is never less to pay. Where a tier begins it may be: a cart of 100.00 at
    20 % costs less than one of 99.99 at 10 %. It is then less by what the tier gives more, and no
    cart ever costs less than nothing, or more than without tiers.
    """
    begins = [tier.from_minor for tier in rules.tiers or ()]
    near = data.draw(st.sampled_from(begins)) + data.draw(st.integers(-2, 2))
    less, more = sorted((one, data.draw(st.sampled_from([other, near]))))

    saved, saves = off(rules, less), off(rules, more)

    assert contradictions(rules) == []
    assert saved <= saves
    assert off(replace(rules, tiers=None), more) <= saves <= more
    left, leaves = less - saved, more - saves
    if tier_reached(rules.tiers, less) == tier_reached(rules.tiers, more):
        assert left <= leaves
    else:
        reached = tier_reached(rules.tiers, less)
        as_before = replace(
            rules,
            tiers=None,
            **{rules.given_by: reached.gives(rules.given_by)} if reached else {},
        )
        assert left - leaves <= saves - off(as_before, more)


@pytest.mark.parametrize(
    ("rules", "subtotal", "discount"),
    [
        (TEN, 9_999, 1_000),
        (TEN, 10_000, 1_500),
        (TEN, 19_999, 3_000),
        (TEN, 20_000, 4_000),
        (TEN, 10**6, 200_000),
        (replace(TEN, max_discount_minor=2_000), 19_999, 2_000),
        (replace(TEN, max_discount_minor=2_000), 20_000, 2_000),
        (FIVE, 499, 499),
        (FIVE, 9_999, 500),
        (FIVE, 10_000, 1_500),
        (FIVE, 19_999, 1_500),
        (FIVE, 20_000, 4_000),
    ],
)
def test_s2_127_a_tier_begins_at_its_amount_and_not_a_unit_before(
    rules: DiscountRules, subtotal: int, discount: int
) -> None:
    assert off(rules, subtotal) == discount


def test_s2_127_what_the_code_is_not_for_reaches_no_tier() -> None:
    """EC-020: by the eligible subtotal, as the minimum."""
    rules = replace(TEN, products=("A",))
    lines = (Line("A", 1, 9_999), Line("B", 1, 50_000))

    told = price(
        rules, Cart("cart", "USD", lines), datetime(2026, 5, 5, tzinfo=UTC), is_first_order=True
    )

    assert isinstance(told, Quote)
    assert [line.discount_minor for line in told.lines] == [1_000, 0]


@pytest.mark.parametrize(
    ("rules", "wrong"),
    [
        (TEN, []),
        (replace(TEN, min_subtotal_minor=9_999), []),
        (
            replace(TEN, min_subtotal_minor=10_000),
            [("/tiers/0/from_minor", "tier_not_ascending")],
        ),
        (replace(TEN, percent_bp=1500), [("/tiers/0/percent_bp", "tier_not_ascending")]),
        (replace(TEN, currency=None), [("/currency", "required")]),
        (replace(TEN, tiers=()), [("/tiers", "out_of_range")]),
        (
            replace(TEN, tiers=tuple(Tier(n, percent_bp=1000 + n) for n in range(1, 12))),
            [("/tiers", "out_of_range")],
        ),
        (
            replace(TEN, tiers=(Tier(100, percent_bp=1500), Tier(100, percent_bp=1500))),
            [
                ("/tiers/1/from_minor", "tier_not_ascending"),
                ("/tiers/1/percent_bp", "tier_not_ascending"),
            ],
        ),
        (
            replace(TEN, tiers=(Tier(100, amount_minor=5), Tier(200, percent_bp=1200))),
            [("/tiers/0/amount_minor", "not_both"), ("/tiers/0/percent_bp", "required")],
        ),
        (
            replace(FIVE, tiers=(Tier(100, amount_minor=600, percent_bp=5),)),
            [("/tiers/0/percent_bp", "not_both")],
        ),
    ],
)
def test_s2_127_tiers_that_do_not_ascend_are_refused_by_their_place(
    rules: DiscountRules, wrong: list[tuple[str, str]]
) -> None:
    assert [(error.pointer, error.code) for error in contradictions(rules)] == wrong


def test_s2_127_tiers_are_kept_as_they_were_given() -> None:
    assert rules_from(told_rules(TEN)) == TEN
    assert rules_from(told_rules(FIVE)) == FIVE
    assert tiers_cell(TEN.tiers) == "10000:1500;20000:2000"
    assert tiers_cell(FIVE.tiers) == "10000:1500;20000:4000"
