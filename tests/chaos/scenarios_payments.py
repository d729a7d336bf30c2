"""Stripe's events arrive shuffled and thrice while whoever takes them in dies (EC-008, EC-119, EC-127)."""

import json
import random
import threading
import time
from typing import Any
from uuid import UUID

import requests
import stripe

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.scope import client
from ops.home import free_port
from pipelines.checkout.begin import Begun, Wanted, begin_checkout
from pipelines.discounts.cart import Cart, Line
from pipelines.discounts.customers import Customer, known_customer
from pipelines.discounts.reserve import Ask, Reserved, reserve
from tests.buying import WHERE
from tests.chaos.exact import Scenario, Size, assert_quiet
from tests.chaos.stand import Stand
from tests.discounting import counted, make_discount
from tests.driving import change, rows
from tests.seeding import ACTOR, Seeded, seed

PROCESSES = ("relay", "scheduler", "interactive", "vendors")
DELIVERIES = 3
SENDERS = 4


def payments_killed(stand: Stand, size: Size) -> None:
    """Every purchase is confirmed once, whoever died meanwhile; Stripe sends again what failed."""
    seeded, count = seed(stand.house, vendor=False), size.items
    code_id = make_discount(stand.house, seeded, max_uses=count)
    told = [_paid(_purchase(stand, seeded)) for _ in range(count)]
    storm = told * DELIVERIES
    random.Random(count).shuffle(storm)
    port = free_port()
    stand.start(*PROCESSES)
    _front(stand, port)
    senders = [
        threading.Thread(target=_send, args=(stand, port, storm[n::SENDERS]))
        for n in range(SENDERS)
    ]
    for sender in senders:
        sender.start()
    for part, victim in ((4, "interactive"), (2, "web"), (1.5, "interactive")):
        stand.until(lambda: _confirmed(stand) >= int(count // part) - 1)  # noqa: B023
        stand.kill(victim)
        stand.flush_queue()
        if victim == "web":
            _front(stand, port)
        else:
            stand.start(victim)
    for sender in senders:
        sender.join(timeout=120)
    stand.until(lambda: _confirmed(stand) == count)
    assert counted(stand.house, code_id) == (count, {"confirmed": count})
    events = rows(stand.house, "SELECT count(*) AS n, sum(deliveries) AS told FROM stripe_events")
    assert events[0].n == count
    assert events[0].told >= count * DELIVERIES
    change(stand.house, "UPDATE tasks SET run_after = now() WHERE kind = 'end_checkout'")
    stand.until(lambda: rows(stand.house, "SELECT FROM tasks WHERE kind = 'end_checkout'") == [])
    assert_quiet(stand)


def _purchase(stand: Stand, seeded: Seeded) -> UUID:
    house = stand.house
    basket = Cart(str(new_id()), "USD", (Line("SKU-1", 1, 10_000),))
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        now = clock.now(session)
        who = Customer(email=f"{new_id()}@x.example")
        known = known_customer(session, seeded.client_id, who, house.person_secret)
        ask = Ask(seeded.client_id, "SAVE10", basket, known)
        made = reserve(session, ask, actor_id=ACTOR, now=now, limits=house.limits)
        assert isinstance(made, Reserved)
        wanted = Wanted(seeded.client_id, made.usage_id, None, None, **WHERE)
        followers = house.paying.pages.followers
        begun = begin_checkout(session, wanted, followers=followers, actor_id=ACTOR, now=now)
        assert isinstance(begun, Begun)
        return begun.purchase_id


def _paid(purchase_id: UUID) -> dict[str, Any]:
    session = {
        "id": f"cs_{purchase_id.hex}",
        "status": "complete",
        "payment_status": "paid",
        "amount_total": 9_000,
        "currency": "usd",
        "metadata": {"payment_id": str(purchase_id)},
    }
    return {
        "id": f"evt_{purchase_id.hex}",
        "object": "event",
        "type": "checkout.session.completed",
        "created": int(time.time()),
        "livemode": False,
        "data": {"object": session},
    }


def _front(stand: Stand, port: int) -> None:
    stand.start("web", PORT=str(port))
    stand.until(lambda: _status(port, "GET", "/healthz") == 200)


def _send(stand: Stand, port: int, events: list[dict[str, Any]]) -> None:
    """As Stripe does: again and again until each is taken."""
    secret = stand.house.paying.secrets[0]
    for event in events:
        body = json.dumps(event)
        while True:
            signed = stripe.WebhookSignature.generate_signature_header(
                body, secret, int(time.time())
            )
            headers = {"Stripe-Signature": signed, "Content-Type": "application/json"}
            if _status(port, "POST", "/api/v1/webhooks/stripe", data=body, headers=headers) == 200:
                break
            time.sleep(0.05)


def _status(port: int, method: str, path: str, **how: Any) -> int:
    try:
        answer = requests.request(method, f"http://127.0.0.1:{port}{path}", timeout=10, **how)
    except requests.RequestException:
        return 0
    return answer.status_code


def _confirmed(stand: Stand) -> int:
    (found,) = rows(
        stand.house, "SELECT count(*) AS n FROM discount_usages WHERE state = 'confirmed'"
    )
    return int(found.n)


SCENARIOS = (
    Scenario(
        "payments killed",
        "Stripe's events thrice and shuffled, front and workers killed: each purchase confirmed once (EC-127)",
        payments_killed,
    ),
)
