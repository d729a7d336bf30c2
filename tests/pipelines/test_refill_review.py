"""What was bought ahead and is no stock: it keeps its slot until a person has looked."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from models import clock
from models.cards import OrderState
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.providers.ports import IssuedCard, Succeeded
from pipelines.provisioning.order_outcome import set_order, write_success
from pipelines.provisioning.orders import move_order
from pipelines.provisioning.resolve_order import Outcome
from pipelines.wiring import House
from tests.driving import drain, rows
from tests.pipelines.test_refilling import decide, look_once, orders, state
from tests.pipelines.test_resolve_order import resolve
from tests.seeding import seed
from tests.vendor import Sandbox


def test_ec066_wrong_cards_are_bought_once_until_a_person_has_looked(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """EC-066: they keep their slots, and their route rests; what was written off is bought again."""
    sandbox.arm(wrong_value={"always": True, "unit_price": 20})
    seeded = seed(vendor_house)
    rows(vendor_house, "UPDATE card_pools SET low_watermark = 1 RETURNING 1")
    decide(vendor_house, seeded, target=2)
    for _ in range(3):
        look_once(vendor_house)
        drain(vendor_house)

    shown = state(vendor_house, seeded)
    assert orders(vendor_house) == 2
    assert (shown["stock"], shown["on_the_way"], shown["in_review"]) == (0, 2, 2)
    one, other = rows(vendor_house, "SELECT id FROM provider_orders ORDER BY id")
    resolve(vendor_house, one.id, Outcome.WRITTEN_OFF)
    look_once(vendor_house)
    assert orders(vendor_house) == 2
    assert state(vendor_house, seeded)["waits_for"] == "routes_rest"
    resolve(vendor_house, other.id, Outcome.WRITTEN_OFF)
    look_once(vendor_house)
    assert orders(vendor_house) == 4


@pytest.mark.parametrize(("days", "kept"), [(20, "quarantined"), (31, "available")])
def test_ec068_a_card_that_nobody_would_be_given_is_no_stock_and_not_bought_again(
    house: House, days: int, kept: str
) -> None:
    """EC-068: valid for less than 30 days, it is set aside, and a person is asked."""
    seeded = seed(house)
    decide(house, seeded, target=1)
    look_once(house)

    sold(house, days)
    look_once(house)

    (card,) = rows(house, "SELECT state FROM cards")
    (order,) = rows(house, "SELECT code, review_since FROM provider_orders")
    assert card.state == kept
    assert (order.code == "card_expires_soon") == (order.review_since is not None)
    assert (order.review_since is not None) == (kept == "quarantined")


def sold(house: House, days: int) -> None:
    """The vendor sells the one order's card, which is valid for so many days."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = clock.now(session)
        (found,) = session.execute(text("SELECT id FROM provider_orders")).all()
        move_order(session, set_order(session, found.id).order, OrderState.SENT, now=now)
        card = IssuedCard("CARD-0001", None, None, (now + timedelta(days=days)).date())
        bought = Succeeded("1", card, 2500, "USD", 2300, "USD")
        setting = set_order(session, found.id)
        keyring, limits = house.settings.keyring, house.limits
        write_success(session, setting, bought, keyring=keyring, now=now, limits=limits)
