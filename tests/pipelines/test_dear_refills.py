"""A vendor that takes more than its route says fills no buffer without end (EC-081, S4-114)."""

import pytest

from pipelines.wiring import House
from tests.driving import drain, hasten, rows
from tests.pipelines.test_margin import set_cost, set_floor
from tests.pipelines.test_refilling import decide, look_once, orders, signals, state
from tests.seeding import seed
from tests.vendor import Sandbox

KIND = "refill_came_dear"
#: What the sandbox takes for 2500 is above it: 2300 is the most that a card may cost.
FLOOR = 200
#: The last of the pass's signals of this kind told how it stands only if an alert was open before.
OPEN_ALERT = (
    "INSERT INTO alerts (id, kind, subject_id, severity, detail, first_seen_at, last_seen_at) "
    "SELECT gen_random_uuid(), kind, subject_id, severity, detail, at, at FROM alert_signals "
    "WHERE kind = :kind LIMIT 1 RETURNING 1"
)


def passes(house: House, count: int = 3) -> list[int]:
    """How many orders there are after each pass, whose orders were carried out."""
    found = []
    for _ in range(count):
        look_once(house)
        hasten(house)
        drain(house)
        found.append(orders(house))
    return found


def dear(house: House) -> list[bool]:
    """Of signals about cards that came too dear: whether they say that it is over."""
    return [over for kind, over in signals(house) if kind == KIND]


@pytest.mark.parametrize("known_bp", [9_000, None])
def test_ec081_cards_that_came_too_dear_are_bought_once_and_told_of(
    vendor_house: House, sandbox: Sandbox, known_bp: int | None
) -> None:
    """EC-081: whether the route says 2250 or nothing; they keep their places, and it rests."""
    seeded = seed(vendor_house)
    set_floor(vendor_house, FLOOR)
    if known_bp:
        set_cost(vendor_house, known_bp)
    decide(vendor_house, seeded, target=2)
    bought = passes(vendor_house)
    shown = state(vendor_house, seeded)
    # Those are used by somebody who pays more: the route rests all the same.
    rows(vendor_house, "UPDATE cards SET state = 'issued', issued_at = now() RETURNING 1")
    later = passes(vendor_house, 2)
    resting = state(vendor_house, seeded)

    assert (bought, later) == ([2, 2, 2], [2, 2])
    assert (shown["stock"], shown["too_dear"], shown["missing"]) == (0, 2, 2)
    assert shown["waits_for"] == resting["waits_for"] == "cards_came_dear"
    assert dear(vendor_house) != []
    assert True not in dear(vendor_house)


def test_ec081_a_floor_that_is_corrected_makes_stock_of_them_and_the_alert_is_over(
    vendor_house: House, sandbox: Sandbox
) -> None:
    seeded = seed(vendor_house)
    set_floor(vendor_house, FLOOR)
    decide(vendor_house, seeded, target=2)
    passes(vendor_house, 2)
    rows(vendor_house, OPEN_ALERT, kind=KIND)
    set_floor(vendor_house, 0)
    decide(vendor_house, seeded, target=3)
    rows(vendor_house, "UPDATE card_pools SET low_watermark = 2 RETURNING 1")
    bought = passes(vendor_house, 2)

    assert bought == [3, 3]
    assert state(vendor_house, seeded)["stock"] == 3
    assert dear(vendor_house)[-1] is True


def test_ec081_a_cost_that_is_corrected_has_the_route_tried_once_more_and_no_place_bought_twice(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """EC-081: what stays too dear is set aside by a person, and its places are bought again."""
    seeded = seed(vendor_house)
    set_floor(vendor_house, FLOOR)
    set_cost(vendor_house, 9_000)
    decide(vendor_house, seeded, target=2)
    passes(vendor_house, 2)
    set_cost(vendor_house, 9_100)
    kept = passes(vendor_house, 2)
    rows(vendor_house, "UPDATE cards SET state = 'quarantined' RETURNING 1")
    again = passes(vendor_house, 3)
    set_cost(vendor_house, 9_452)
    rows(vendor_house, "UPDATE cards SET state = 'quarantined' RETURNING 1")
    rows(vendor_house, OPEN_ALERT, kind=KIND)
    known = passes(vendor_house, 2)

    assert (kept, again, known) == ([2, 2], [4, 4, 4], [4, 4])
    assert state(vendor_house, seeded)["waits_for"] == "no_route"
    assert dear(vendor_house)[-1] is True
