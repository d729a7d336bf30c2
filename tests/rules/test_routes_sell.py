"""What a route sells: its own bounds, and the vendor's catalogue as far as that says (S4-081)."""

import pytest

from pipelines.provisioning.waterfall import Route

LISTED = frozenset({1000, 2500})


@pytest.mark.parametrize(
    ("route", "sold", "refused"),
    [
        (Route("v", "p", 1), [1, 10**9], []),
        (Route("v", "p", 1, 1000, 5000), [1000, 5000], [999, 5001]),
        (Route("v", "p", 1, least_minor=500, most_minor=2000), [500, 2000], [499, 2001]),
        (Route("v", "p", 1, most_minor=2000), [1, 2000], [2001]),
        (Route("v", "p", 1, listed_minor=LISTED), [1000, 2500], [999, 2000, 2501]),
        (
            Route("v", "p", 1, listed_minor=LISTED, least_minor=3000, most_minor=4000),
            [1000, 2500, 3000, 4000],
            [2999, 4001],
        ),
        (Route("v", "p", 1, 2000, None, listed_minor=LISTED), [2500], [1000, 2000]),
        (Route("v", "p", 1, None, 1500, least_minor=500, most_minor=2000), [500, 1500], [2000]),
    ],
)
def test_s4_081_a_route_sells_what_both_say(
    route: Route, sold: list[int], refused: list[int]
) -> None:
    assert [amount for amount in sold + refused if route.sells(amount)] == sold
