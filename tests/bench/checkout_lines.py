"""Discount codes and payments over HTTP: validate, apply, checkout, and events as Stripe delivers them."""

import http.client
import json
import random
import threading
import time
from typing import Any

import stripe

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.access.api_keys import NewKey, draw_key, make_key
from pipelines.access.permissions import KeyScope
from tests.bench.http_lines import CALLS, CLIENTS, Call, Fronts, Timings, timed
from tests.bench.line import Line
from tests.chaos.stand import Stand
from tests.discounting import make_discount
from tests.driving import rows
from tests.seeding import ACTOR, Seeded

#: The storm of the issue: so many events, each so often, in any order.
EVENTS, DELIVERIES = 300, 5
WHERE = {"success_url": "https://shop.example/t", "cancel_url": "https://shop.example/c"}


def checkout_lines(ground: Stand, seeded: Seeded, served: Fronts) -> list[Line]:
    """Limits: the bare route's one INSERT; for the storm, the bare route's rate for as many calls."""
    ground.start("vendors")
    make_discount(ground.house, seeded)
    shop, bare = _key(ground, seeded), served.bare()
    validated = timed(lambda _n: _validate(served, shop))
    applied = timed(lambda n: _apply(served, shop, n))
    waiting = iter([_reservation(served, shop) for _ in range(CALLS)])
    opened = timed(lambda _n: _checkout(served, shop, next(waiting)), rate=False)
    events = (_event("invoice.paid", {"id": f"in_{n}"}) for n in range(10 * CALLS))
    taken = timed(lambda _n: _delivered(ground, served, next(events)))
    return [
        _line("validate a code", validated, bare),
        _line("apply a code (a slot for a new cart)", applied, bare),
        Line(
            "checkout (calls per second of one client; the sandbox's Stripe answers)",
            1000 / opened.p50,
            None,
            f"p50 {opened.p50:.1f} ms, p99 {opened.p99:.1f} ms",
        ),
        _line("take an event in (verify, write, 200)", taken, bare),
        _storm(ground, seeded, served, shop, bare),
    ]


def _line(work: str, ours: Timings, bare: Timings) -> Line:
    note = f"p50 {ours.p50:.1f} ms, p99 {ours.p99:.1f} ms with one client; bare p50 {bare.p50:.1f}"
    return Line(f"{work}, {CLIENTS} clients (calls per second)", ours.rate, bare.rate, note)


def _storm(ground: Stand, seeded: Seeded, served: Fronts, shop: str, bare: Timings) -> Line:
    """Each of the payments confirmed once, whatever comes how often."""
    code_id = make_discount(ground.house, seeded, "STORM")
    told: list[dict[str, Any]] = []
    for _ in range(EVENTS):
        body = {"reservation_id": _reservation(served, shop, "STORM")} | WHERE
        made = _posted(served, "/api/v1/checkout", body, shop)
        told.append(_paid(made))
    storm = told * DELIVERIES
    random.Random(7).shuffle(storm)
    began = time.monotonic()
    share = len(storm) // CLIENTS
    threads = [
        threading.Thread(target=_deliver, args=(ground, served, storm[n * share : (n + 1) * share]))
        for n in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    accepted = time.monotonic() - began
    ground.until(lambda: _confirmed(ground, code_id) == EVENTS, seconds=300)
    whole = time.monotonic() - began
    sent = share * CLIENTS
    note = f"{EVENTS} events x {DELIVERIES}: all confirmed once, {whole - accepted:.1f} s after the last was taken"
    return Line("a storm of events taken in (calls per second)", sent / accepted, bare.rate, note)


def _deliver(ground: Stand, served: Fronts, events: list[dict[str, Any]]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    for event in events:
        _port, path, body, headers, _status = _delivered(ground, served, event)
        connection.request("POST", path, body, headers | {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise AssertionError(f"{answer.status}: {content[:300]!r}")


def _confirmed(ground: Stand, code_id: object) -> int:
    (found,) = rows(
        ground.house,
        "SELECT count(*) AS n FROM discount_usages WHERE code_id = :code AND state = 'confirmed'",
        code=code_id,
    )
    return int(found.n)


def _key(ground: Stand, seeded: Seeded) -> str:
    drawn = draw_key(is_live=False)
    with scoped_transaction(ground.house.sessions, SYSTEM) as session:
        wanted = NewKey("till", seeded.client_id, (KeyScope.DISCOUNTS,))
        make_key(session, drawn, wanted, actor_id=ACTOR, now=clock.now(session))
    return drawn.text


def _body(code: str = "SAVE10") -> dict[str, Any]:
    line = {"sku": "SHIRT", "quantity": 2, "unit_minor": 2_500}
    return {
        "code": code,
        "customer": {"email": f"{new_id()}@x.example"},
        "cart": {"id": str(new_id()), "currency": "USD", "lines": [line]},
    }


def _bearer(shop: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {shop}"}


def _validate(served: Fronts, shop: str) -> Call:
    who = f"{new_id()}@x.example"
    path = f"/api/v1/discounts/validate?code=save10&subtotal_minor=5000&currency=USD&customer={who}"
    return served.port, path, "", _bearer(shop), 200


def _apply(served: Fronts, shop: str, _number: int) -> Call:
    path = "/api/v1/discounts/apply"
    return served.port, path, json.dumps(_body()), _bearer(shop), 201


def _checkout(served: Fronts, shop: str, reservation_id: str) -> Call:
    body = json.dumps({"reservation_id": reservation_id} | WHERE)
    return served.port, "/api/v1/checkout", body, _bearer(shop), 201


def _reservation(served: Fronts, shop: str, code: str = "SAVE10") -> str:
    made = _posted(served, "/api/v1/discounts/apply", _body(code), shop)
    return str(made["reservation"]["id"])


def _posted(served: Fronts, path: str, body: dict[str, Any], shop: str) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    headers = _bearer(shop) | {"Content-Type": "application/json"}
    connection.request("POST", path, json.dumps(body), headers)
    answer = connection.getresponse()
    told: dict[str, Any] = json.loads(answer.read())
    assert answer.status == 201, told
    return told


def _paid(purchase: dict[str, Any]) -> dict[str, Any]:
    session = {
        "id": purchase["session_id"],
        "status": "complete",
        "payment_status": "paid",
        "amount_total": purchase["amount_minor"],
        "currency": purchase["currency"].lower(),
        "metadata": {"payment_id": purchase["purchase_id"]},
    }
    return _event("checkout.session.completed", session)


def _event(kind: str, thing: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"evt_{new_id().hex}",
        "object": "event",
        "type": kind,
        "created": int(time.time()),
        "livemode": False,
        "data": {"object": thing},
    }


def _delivered(ground: Stand, served: Fronts, event: dict[str, Any]) -> Call:
    body = json.dumps(event)
    secret = ground.house.paying.secrets[0]
    signed = stripe.WebhookSignature.generate_signature_header(body, secret, int(time.time()))
    return served.port, "/api/v1/webhooks/stripe", body, {"Stripe-Signature": signed}, 200
