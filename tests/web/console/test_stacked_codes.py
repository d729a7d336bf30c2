"""Codes that go together, at the console: the field, the code's page, purchases and a slot (EC-018, S2-126)."""

from html import unescape
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from models import clock
from models.database import scoped_transaction
from models.people import Role
from models.scope import client
from pipelines.checkout.begin import Begun, Wanted, begin_checkout
from pipelines.payments.learn import learn
from pipelines.payments.news import News
from pipelines.wiring import House
from tests.buying import WHERE
from tests.discounting import asked, cart, make_discount
from tests.driving import rows
from tests.security.tenants import key_caller
from tests.seeding import ACTOR, Seeded
from tests.web.console.conftest import Visitor, visitor_of

HOME = "/console/discounts"


@pytest.fixture
def boss(app: Flask, house: House, seeded: Seeded) -> Visitor:
    return visitor_of(app, house, Role.CLIENT_ADMIN, seeded)


def stacked(app: Flask, house: House, seeded: Seeded) -> dict[str, Any]:
    """SAVE10 and MORE5 on one cart of 100.00, as `apply` shows them."""
    make_discount(house, seeded, stacking_group="loyalty")
    make_discount(house, seeded, "MORE5", percent_bp=500, stacking_group="season")
    storefront = key_caller(app, house, seeded.client_id)
    body = asked(cart=cart(reference="cart-1"))
    storefront.post("/discounts/apply", body)
    told: dict[str, Any] = storefront.post("/discounts/apply", body | {"code": "MORE5"}).json
    return told


def buy(house: House, seeded: Seeded, usage_id: UUID, paid_minor: int) -> UUID:
    """A purchase of a reservation, that was paid."""
    wanted = Wanted(seeded.client_id, usage_id, None, None, **WHERE)
    followers = house.paying.pages.followers
    paid = News(payment="paid", paid_minor=paid_minor, paid_currency="USD")
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        now = clock.now(session)
        begun = begin_checkout(session, wanted, followers=followers, actor_id=ACTOR, now=now)
        assert isinstance(begun, Begun)
        learn(session, begun.purchase_id, paid, followers=followers, now=now)
    return begun.purchase_id


def test_ec018_a_form_says_with_which_codes_a_code_goes(house: House, boss: Visitor) -> None:
    """EC-018: what is no name of a group is said at its field, and nothing is made."""
    typed = {"code": "SAVE10", "kind": "percent", "percent": "10", "max_uses_per_customer": "1"}
    typed |= {"restore_on_refund": "nothing", "on_late": "confirm"}

    wrong = boss.send(f"{HOME}/new", **typed, stacking_group="Two Words")
    nothing = rows(house, "SELECT 1 FROM discount_codes")
    made = boss.send(f"{HOME}/new", **typed, stacking_group="loyalty").headers["Location"]

    assert (wrong.status_code, nothing) == (422, [])
    assert "Give 1 to 40 of a to z, 0 to 9 and -" in unescape(wrong.text)
    shown = unescape(boss.get(made).text)
    assert "10 % off, beside codes of other groups than loyalty" in shown
    assert "Beside codes of other groups than loyalty: 3 codes at most" in shown
    assert (
        'name="stacking_group" value="loyalty"' in boss.get(f"{made.partition('?')[0]}/edit").text
    )


def test_ec018_pages_list_the_codes_of_a_cart(
    app: Flask, house: House, seeded: Seeded, boss: Visitor
) -> None:
    """EC-018, EC-051: each code with what becomes of its use; a slot is given back with the others."""
    told = stacked(app, house, seeded)
    usage_id = UUID(told["reservation"]["id"])
    codes = {one["code"]: one["code_id"] for one in told["codes"]}

    added = boss.get(f"{HOME}/{codes['MORE5']}").text
    release = boss.get(f"{HOME}/reservations/{usage_id}/release").text

    assert '<span class="sub">beside SAVE10</span>' in added
    assert f"/reservations/{usage_id}/release" in added
    assert "Its discount by MORE5, SAVE10" in release
    assert "$14.50" in release

    purchase_id = buy(house, seeded, usage_id, 8_550)
    own = f"/console/purchases/{purchase_id}"
    listed, page = boss.get("/console/purchases").text, boss.get(own).text
    refund = boss.send(f"{own}/refund", amount="").text

    for code, off in {"MORE5": "$5.00 off", "SAVE10": "$9.50 off"}.items():
        assert f">{code}</a>" in listed
        assert f">{code}</a>, {off}</dd><dt>Its use</dt><dd>Counts as used</dd>" in page
        assert f"The use of {code}" in refund
