"""What a card is charged at, what it may cost, and which route is taken: on plain values."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from pipelines.pricing.rules import PriceRule, charge_of, cost_max, expected_cost, is_too_dear
from pipelines.provisioning.waterfall import (
    MARGIN_BELOW_FLOOR,
    Route,
    next_route,
    refusal_without_route,
)

OWN, OTHER = UUID(int=1), UUID(int=2)
money = st.integers(min_value=1, max_value=10**9)
shares = st.integers(min_value=1, max_value=100_000)
rules = st.builds(
    lambda value, amount, share, client: PriceRule(
        value, amount if value else None, None if value and amount else share, client
    ),
    st.sampled_from([None, 2500, 5000]),
    st.none() | money,
    shares,
    st.sampled_from([None, OWN, OTHER]),
)
routes = st.builds(
    Route,
    st.sampled_from(["tango", "reloadly", "giftbit"]),
    st.sampled_from(["1", "2"]),
    st.integers(min_value=0, max_value=3),
    cost_bp=st.none() | st.integers(min_value=5_000, max_value=12_000),
    cost_flat_minor=st.none() | st.integers(min_value=0, max_value=300),
    is_blocked=st.booleans(),
)


@given(denomination=money)
def test_without_a_price_a_card_is_charged_at_its_face_value(denomination: int) -> None:
    assert charge_of([], denomination, OWN) == denomination
    assert charge_of([PriceRule(None, None, 9_000, OTHER)], denomination, OWN) == denomination


@given(found=st.lists(rules, max_size=6), denomination=st.sampled_from([2500, 5000, 700]))
def test_ec078_one_rule_decides_and_it_is_the_most_exact_that_fits(
    found: list[PriceRule], denomination: int
) -> None:
    charge = charge_of(found, denomination, OWN)

    fitting = [
        r
        for r in found
        if r.client_id in (None, OWN) and r.denomination_minor in (None, denomination)
    ]
    own = [rule for rule in fitting if rule.client_id == OWN] or fitting
    exact = [rule for rule in own if rule.denomination_minor is not None] or own
    assert charge > 0
    assert charge in ({rule.charge(denomination) for rule in exact} or {denomination})


@given(denomination=money, share=shares)
def test_a_share_is_rounded_to_the_nearest_unit(denomination: int, share: int) -> None:
    charge = PriceRule(None, None, share).charge(denomination)

    assert charge == 1 or abs(charge * 10_000 - denomination * share) <= 5_000


@given(charge=money, floor=st.none() | st.integers(-1_000, 1_000), cost=st.none() | money)
def test_ec081_a_card_is_too_dear_exactly_when_its_known_margin_is_below_the_floor(
    charge: int, floor: int | None, cost: int | None
) -> None:
    dear = is_too_dear(cost, cost_max(charge, floor))

    assert dear == (cost is not None and floor is not None and charge - cost < floor)


@given(denomination=money, share=shares, flat=st.integers(0, 1_000))
def test_a_cost_is_never_told_too_low(denomination: int, share: int, flat: int) -> None:
    cost = expected_cost(denomination, share, flat)

    assert cost is not None
    assert 0 <= cost * 10_000 - denomination * share - flat * 10_000 < 10_000
    assert expected_cost(denomination, None, flat) is None


@given(found=st.lists(routes, max_size=6), at_most=st.none() | st.integers(1_000, 3_000))
def test_ec081_a_route_is_chosen_by_priority_then_cost_and_never_above_what_it_may_cost(
    found: list[Route], at_most: int | None
) -> None:
    chosen = next_route(found, 2500, tried=frozenset(), cost_max=at_most)

    cheap = [route for route in found if not is_too_dear(route.cost(2500), at_most)]
    if chosen is None:
        assert cheap == []
        why = refusal_without_route(found, 2500, tried=frozenset(), last_code=None)
        assert (why == MARGIN_BELOW_FLOOR) == bool(found)
        return
    assert chosen in cheap
    rivals = [r for r in cheap if r.is_blocked == chosen.is_blocked]
    assert chosen.priority == min(route.priority for route in rivals)
    known = [
        cost for r in rivals if r.priority == chosen.priority and (cost := r.cost(2500)) is not None
    ]
    assert chosen.cost(2500) == (min(known) if known else None)
    assert not chosen.is_blocked or all(route.is_blocked for route in cheap)


def test_ec081_a_route_that_costs_too_much_is_a_matter_for_a_person_whatever_others_said() -> None:
    dear = Route("tango", "1", 1, cost_bp=10_000)
    refused = Route("reloadly", "1", 2, cost_bp=9_000)
    tried = frozenset({(refused.vendor, refused.product)})

    assert next_route([dear, refused], 2500, tried=tried, cost_max=2400) is None
    why = refusal_without_route([dear, refused], 2500, tried=tried, last_code="out_of_stock")
    assert why == MARGIN_BELOW_FLOOR
