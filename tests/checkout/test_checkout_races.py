"""Two things at the same moment at the checkout: whoever is first, money and slots agree (EC-003, EC-042)."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.checkout.end import release_expired
from pipelines.wiring import House
from tests.checkout.test_payment_events import paid_event
from tests.checkout.test_refunds import paid, refund
from tests.discounting import asked, cart, counted, expire, make_discount
from tests.driving import rows
from tests.paying import Till
from tests.proof import assert_proven
from tests.web.conftest import signed_in

TIMES = 2


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Do each in a thread of its own, at the same moment; what they gave."""
    start = threading.Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        start.wait(timeout=30)
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


@pytest.mark.parametrize("_time", range(TIMES))
def test_ec003_a_payment_arrives_as_the_time_of_its_slot_ends(till: Till, _time: int) -> None:
    code_id = make_discount(till.house, till.seeded, max_uses=1)
    purchase = till.checkout(till.reserve())
    till.move(purchase, "pay")
    told = paid_event(till, purchase)

    at_once(
        lambda: till.post_event(told),
        lambda: till.pass_time(minutes=16),
        lambda: till.shop.call("DELETE", f"/reservations/{purchase['reservation_id']}"),
    )
    till.work()

    assert till.purchase(purchase["purchase_id"])["state"] == "confirmed"
    assert counted(till.house, code_id) == (1, {"confirmed": 1})
    assert_proven(till.house)


def test_ec033_a_unit_that_two_pay_back_at_once_is_paid_once(
    till: Till, app: Flask, vendor_house: House
) -> None:
    make_discount(till.house, till.seeded)
    shirts = {"sku": "SHIRT", "quantity": 3, "unit_minor": 10_000}
    purchase = paid(till, cart={"id": "c", "currency": "USD", "lines": [shirts]})
    boss = signed_in(app, vendor_house, Role.CLIENT_ADMIN, till.seeded)
    two = [{"line": 0, "quantity": 2}]

    answers = at_once(*(lambda key=key: refund(boss, purchase, key, lines=two) for key in "abc"))

    assert sorted(answer.status_code for answer in answers) == [201, 422, 422]
    assert till.purchase(purchase["purchase_id"])["returned"] == two


@pytest.mark.parametrize("_time", range(TIMES))
def test_ec003_a_checkout_begins_as_the_sweeper_comes(till: Till, _time: int) -> None:
    """Either the slot is gone and nothing can be paid, or it can be paid and is not swept."""
    code_id = make_discount(till.house, till.seeded, max_uses=1)
    reservation = till.reserve()
    expire(till.house)

    def sweep() -> int:
        with scoped_transaction(till.house.sessions, SYSTEM) as session:
            return release_expired(session, clock.now(session)).released

    begun, _swept = at_once(lambda: till.begin(reservation), sweep)

    assert begun.status_code in {409, 410}, begun.json
    assert counted(till.house, code_id) == (0, {"released": 1})
    assert rows(till.house, "SELECT FROM payments") == []


def test_ec034_ten_checkouts_of_one_reservation_at_once_are_one_page(till: Till) -> None:
    make_discount(till.house, till.seeded)
    reservation = till.reserve()

    answers = at_once(*(lambda: till.begin(reservation) for _ in range(10)))

    assert {answer.status_code for answer in answers} <= {200, 201}
    assert len({answer.json["session_id"] for answer in answers}) == 1
    assert len(till.sandbox.control("GET", "/stripe/sessions")["sessions"]) == 1


def test_ec034_ten_checkouts_of_one_cart_at_once_are_one_page(till: Till) -> None:
    body = {"cart": cart(5_000, reference="c"), "customer": {"email": "ann@x.example"}}

    answers = at_once(*(lambda: till.begin(**body) for _ in range(10)))

    assert {answer.status_code for answer in answers} <= {200, 201}
    assert len({answer.json["purchase_id"] for answer in answers}) == 1


def test_ec016_two_new_prices_at_once_leave_one_page_open(till: Till) -> None:
    make_discount(till.house, till.seeded)
    reservation = till.reserve(cart=cart(10_000, reference="c"))
    till.checkout(reservation)

    answers = at_once(
        *(
            lambda price=price: till.begin(reservation, cart=cart(price, reference="c"))
            for price in (8_000, 7_000)
        )
    )

    assert {answer.status_code for answer in answers} <= {200, 201, 409}, [
        answer.json for answer in answers
    ]
    sessions = till.sandbox.control("GET", "/stripe/sessions")["sessions"]
    assert [one["status"] for one in sessions].count("open") <= 1
    assert_proven(till.house)


@pytest.mark.parametrize(
    ("name", "is_taken"),
    [
        ("Tee-shirt \u05e9\u05dc\u05d5\u05dd \U0001f469\u200d\U0001f680", True),
        ("\u0428\u043e\u043a\u043e\u043b\u0430\u0434", True),
        ("a\r\nBcc: x@x.example", False),
        ("a\x00b", False),
        ("abc\u202etxt.exe", False),
    ],
)
def test_ec042_names_of_products_are_of_any_script_and_have_no_controls(
    till: Till, name: str, is_taken: bool
) -> None:
    make_discount(till.house, till.seeded)
    line = {"sku": "S", "quantity": 1, "unit_minor": 1_000, "name": name}
    bought = {"id": str(new_id()), "currency": "USD", "lines": [line]}

    answer = till.shop.post("/discounts/apply", asked(cart=bought))

    if not is_taken:
        assert answer.status_code == 422
        assert [error["code"] for error in answer.json["errors"]] == ["illegal_character"]
        return
    till.checkout(answer.json["reservation"])
    (session,) = till.sandbox.control("GET", "/stripe/sessions")["sessions"]
    assert session["amount_total"] == 900
