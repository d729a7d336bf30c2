"""Many at the same moment: never a slot too many, never one that is left (EC-001, EC-002, EC-013, S2-072)."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from models import clock
from models.database import create_database_engine, scoped_transaction, sessions_of
from models.scope import SYSTEM
from pipelines.discounts.release import release_timed_out
from pipelines.wiring import House
from tests.discounting import asked, cart, counted, make_discount
from tests.driving import change, rows
from tests.proof import assert_proven
from tests.security.tenants import key_caller
from tests.seeding import Seeded
from tests.until import until
from tests.web.conftest import Caller
from web.app import create_app


@pytest.fixture
def wide_app(house: House) -> Iterator[Flask]:
    """A front with a connection for each of many customers."""
    engine = create_database_engine(house.settings.database_url, pool_size=25)
    yield create_app(replace(house, sessions=sessions_of(engine)))
    engine.dispose()


def at_once(app: Flask, caller: Caller, bodies: list[dict[str, Any]]) -> Counter[tuple[int, str]]:
    """Everybody applies at the same moment; how often each answer was given."""
    start = Barrier(len(bodies))

    def ask(body: dict[str, Any]) -> tuple[int, str]:
        mine = Caller(app.test_client(), caller.headers)
        start.wait(timeout=60)
        answer = mine.post("/discounts/apply", body)
        return answer.status_code, answer.json.get("code", "")

    with ThreadPoolExecutor(len(bodies)) as pool:
        return Counter(pool.map(ask, bodies))


@pytest.mark.parametrize("slots", [20, 1])
def test_ec001_fifty_shoppers_twenty_slots(
    wide_app: Flask, house: House, seeded: Seeded, slots: int
) -> None:
    """EC-001, S2-030, S2-072, S2-095: and again with the last one."""
    code_id = make_discount(house, seeded, max_uses=slots)
    storefront = key_caller(wide_app, house, seeded.client_id)

    told = at_once(wide_app, storefront, [asked() for _ in range(50)])

    assert told == {(201, ""): slots, (409, "slot_exhausted"): 50 - slots}
    assert counted(house, code_id) == (slots, {"reserved": slots})


def test_ec002_ten_clicks_on_one_cart_are_one_reservation(
    wide_app: Flask, house: House, seeded: Seeded
) -> None:
    """Ten who name themselves otherwise, so that nobody is too quick."""
    code_id = make_discount(house, seeded, max_uses=5)
    storefront = key_caller(wide_app, house, seeded.client_id)
    basket = cart(reference="cart-1")
    change(
        house,
        "INSERT INTO users (id, email, email_normalised, role) "
        "VALUES (:id, 'a@x.example', 'a@x.example', 'end_user')",
        id=seeded.client_id,
    )
    change(
        house,
        "INSERT INTO client_users (client_id, agency_id, user_id, email, email_normalised, "
        "external_id) VALUES (:id, :agency, :id, 'a@x.example', 'a@x.example', 'a')",
        id=seeded.client_id,
        agency=seeded.agency_id,
    )
    names: list[dict[str, Any]] = [{"email": "a@x.example"}, {"external_id": "a"}]
    bodies = [asked(customer=names[number % 2], cart=basket) for number in range(10)]

    told = at_once(wide_app, storefront, bodies)

    assert told == {(201, ""): 1, (200, ""): 9}
    assert counted(house, code_id) == (1, {"reserved": 1})


def test_ec002_five_carts_of_one_person_are_one_reservation(
    wide_app: Flask, house: House, seeded: Seeded
) -> None:
    """S2-106: one code per person."""
    code_id = make_discount(house, seeded, max_uses=5)
    storefront = key_caller(wide_app, house, seeded.client_id)
    people = [{"email": f"a.{n}@x.example", "external_id": "a"} for n in range(5)]

    told = at_once(wide_app, storefront, [asked(customer=one) for one in people])

    assert told == {(201, ""): 1, (409, "already_reserved"): 4}
    assert counted(house, code_id) == (1, {"reserved": 1})


def test_ec013_five_sweepers_give_each_slot_back_once(
    wide_app: Flask, house: House, seeded: Seeded
) -> None:
    code_id = make_discount(house, seeded)
    storefront = key_caller(wide_app, house, seeded.client_id)
    at_once(wide_app, storefront, [asked() for _ in range(20)])
    change(house, "UPDATE discount_usages SET expires_at = now()")
    start = Barrier(5)

    def sweep(_number: int) -> int:
        start.wait(timeout=60)
        with scoped_transaction(house.sessions, SYSTEM) as session:
            return release_timed_out(session, clock.now(session), limit=3)

    given_back = 0
    while rows(house, "SELECT 1 FROM discount_usages WHERE state = 'reserved' LIMIT 1"):
        with ThreadPoolExecutor(5) as pool:
            given_back += sum(pool.map(sweep, range(5)))

    assert given_back == 20
    assert counted(house, code_id) == (0, {"released": 20})
    assert rows(house, "SELECT 1 FROM discount_customers WHERE live <> 0") == []
    assert rows(house, "SELECT 1 FROM discount_customer_uses WHERE uses <> 0") == []


def test_ec013_twenty_who_find_twenty_abandoned_slots_have_them_all(
    wide_app: Flask, house: House, seeded: Seeded
) -> None:
    """Whoever gives them back, and however many look at the same moment."""
    code_id = make_discount(house, seeded, max_uses=20)
    storefront = key_caller(wide_app, house, seeded.client_id)
    at_once(wide_app, storefront, [asked() for _ in range(20)])
    change(house, "UPDATE discount_usages SET expires_at = now() - interval '1 second'")

    told = at_once(wide_app, storefront, [asked() for _ in range(20)])

    assert told == {(201, ""): 20}
    assert counted(house, code_id) == (20, {"released": 20, "reserved": 20})


def test_ec013_whoever_finds_an_abandoned_slot_in_hand_waits_for_it(
    wide_app: Flask, house: House, seeded: Seeded
) -> None:
    """A sweeper that is in the middle of it, say; and may not come to its end."""
    code_id = make_discount(house, seeded, max_uses=1)
    storefront = key_caller(wide_app, house, seeded.client_id)
    assert storefront.post("/discounts/apply", asked()).status_code == 201
    change(house, "UPDATE discount_usages SET expires_at = now() - interval '1 second'")

    with (
        ThreadPoolExecutor(1) as pool,
        house.sessions.kw["bind"].connect() as sweeper,
        sweeper.begin() as held,
    ):
        sweeper.execute(text("SET LOCAL ROLE largesse_system"))
        sweeper.execute(text("SELECT FROM discount_usages FOR UPDATE"))
        told = pool.submit(at_once, wide_app, storefront, [asked()])
        until(lambda: rows(house, "SELECT FROM pg_locks WHERE NOT granted"))
        held.rollback()
        answers = told.result(timeout=60)

    assert answers == {(201, ""): 1}
    assert counted(house, code_id) == (1, {"released": 1, "reserved": 1})


def test_ec018_twenty_carts_that_stack_two_codes_in_opposite_orders_have_every_slot(
    wide_app: Flask, house: House, seeded: Seeded
) -> None:
    """EC-018, S2-126: whoever comes first; nobody waits in a circle, and none is left over."""
    first = make_discount(house, seeded, "FIRST", max_uses=12, stacking_group="a")
    second = make_discount(house, seeded, "SECOND", max_uses=15, stacking_group="b")
    storefront = key_caller(wide_app, house, seeded.client_id)
    start = Barrier(20)

    def stack(number: int) -> list[int]:
        mine, body = Caller(wide_app.test_client(), storefront.headers), asked()
        start.wait(timeout=60)
        order = ("FIRST", "SECOND") if number % 2 else ("SECOND", "FIRST")
        return [mine.post("/discounts/apply", body | {"code": code}).status_code for code in order]

    with ThreadPoolExecutor(20) as pool:
        told = Counter(status for statuses in pool.map(stack, range(20)) for status in statuses)

    assert told == {201: 27, 409: 13}
    assert counted(house, first) == (12, {"reserved": 12})
    assert counted(house, second) == (15, {"reserved": 15})
    assert_proven(house)


def test_ec018_clicks_with_two_codes_on_one_cart_are_one_reservation(
    wide_app: Flask, house: House, seeded: Seeded
) -> None:
    """EC-002, EC-018: as many as a customer may try in a minute."""
    made = [
        make_discount(house, seeded, code, max_uses=5, stacking_group=code.lower())
        for code in ("FIRST", "SECOND")
    ]
    storefront = key_caller(wide_app, house, seeded.client_id)
    basket, people = (
        cart(),
        [{"email": "a@x.example"}, {"email": "a@x.example", "external_id": "a"}],
    )
    bodies = [
        asked(("FIRST", "SECOND")[number % 2], customer=people[number // 2], cart=basket)
        for number in range(4)
    ]

    told = at_once(wide_app, storefront, bodies)

    assert told == {(201, ""): 2, (200, ""): 2}
    assert [counted(house, one) for one in made] == [(1, {"reserved": 1})] * 2
    assert_proven(house)
