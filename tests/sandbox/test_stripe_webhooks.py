"""What Stripe tells of and how: signed, again until taken, twice, out of order, or not at all."""

import json
import random

import pytest
import stripe

from tests.sandbox.conftest import Running
from tests.sandbox.stripes import SECRET, Shop

PAID = [
    "payment_intent.created",
    "charge.succeeded",
    "payment_intent.succeeded",
    "checkout.session.completed",
]


@pytest.fixture
def shop(sandbox: Running) -> Shop:
    return Shop(sandbox)


def test_ec008_each_event_is_told_once_signed_and_in_order(shop: Shop):
    shop.listen()
    made = shop.open(key="open-1")

    shop.move(made, "pay")
    events = shop.heard()

    completed = events[-1]
    assert [event.type for event in events] == PAID
    assert completed.data.object.id == made.id
    assert (completed.object, completed.livemode, completed.pending_webhooks) == ("event", False, 1)
    assert completed.api_version == "2026-10-28.endive"
    assert shop.v1.events.retrieve(completed.id).pending_webhooks == 0
    assert shop.flush() == []


def test_an_event_names_the_call_that_caused_it(shop: Shop):
    made = shop.open()

    shop.v1.checkout.sessions.expire(made.id, options={"idempotency_key": "expire:1"})

    (event,) = shop.v1.events.list().data
    assert event.type == "checkout.session.expired"
    assert event.request.idempotency_key == "expire:1"
    assert event.request.id.startswith("req_")


def test_ec132_every_active_secret_signs_and_either_is_good(shop: Shop):
    shop.listen(secrets=(SECRET, "whsec_KANARIE0two"))

    shop.move(shop.open(), "pay")

    assert len(shop.heard()) == len(shop.heard(secret="whsec_KANARIE0two")) == 4
    headers, body = shop.received()[0]
    assert headers["stripe-signature"].count("v1=") == 2
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body, headers["stripe-signature"], "whsec_other")


def test_ec008_an_event_is_delivered_again_five_times_at_once(shop: Shop):
    shop.listen()
    shop.move(shop.open(), "pay")
    last = shop.heard()[-1]

    attempts = shop.steer(f"events/{last.id}/deliver", times=5, together=True)["attempts"]

    assert [attempt["status"] for attempt in attempts] == [200] * 5
    assert [event.id for event in shop.heard()[4:]] == [last.id] * 5


def test_an_event_may_be_signed_with_another_secret_or_too_long_ago(shop: Shop):
    shop.listen()
    shop.move(shop.open(), "pay")
    last = shop.heard()[-1]

    shop.steer(f"events/{last.id}/deliver", secrets=["whsec_forged"])
    shop.steer(f"events/{last.id}/deliver", age_seconds=600)

    forged, stale = [(body, headers["stripe-signature"]) for headers, body in shop.received()[4:]]
    with pytest.raises(stripe.SignatureVerificationError, match="No signatures found"):
        stripe.Webhook.construct_event(*forged, SECRET)
    with pytest.raises(stripe.SignatureVerificationError, match="Timestamp outside"):
        stripe.Webhook.construct_event(*stale, SECRET)
    assert stripe.Webhook.construct_event(*stale, SECRET, tolerance=700).id == last.id


def test_ec048_held_events_are_released_in_an_order_that_a_seed_decides(shop: Shop):
    shop.listen()
    shop.put("deliveries", mode="held")
    shop.move(shop.open(), "pay")
    silent = shop.heard()

    shop.steer("deliveries/release", seed=3, times=2)

    wanted = PAID * 2
    random.Random(3).shuffle(wanted)
    assert silent == []
    assert [event.type for event in shop.heard()] == wanted
    assert {one["state"] for one in shop.deliveries()["deliveries"]} == {"delivered"}
    assert shop.steer("deliveries/release") == {"attempts": []}


def test_ec131_events_that_are_not_delivered_can_be_pulled(shop: Shop):
    shop.listen()
    shop.put("deliveries", mode="off")

    shop.move(shop.open(), "pay")

    assert (shop.heard(), shop.types()) == ([], PAID)
    newest = shop.v1.events.list({"limit": 3})
    older = shop.v1.events.list({"limit": 3, "starting_after": newest.data[-1].id})
    types = {"types": ["charge.succeeded", "checkout.session.completed"]}
    assert [event.type for event in newest.data] == PAID[:0:-1]
    assert (newest.has_more, older.has_more) == (True, False)
    assert [event.type for event in older.data] == PAID[:1]
    assert [event.type for event in shop.v1.events.list(types).data] == [PAID[3], PAID[1]]
    later = newest.data[0].created + 1
    assert shop.v1.events.list({"created": {"gte": later}}).data == []
    assert len(shop.v1.events.list({"created": {"lt": later}}).data) == 4


def test_ec127_what_is_not_taken_is_tried_again_until_it_is(shop: Shop):
    shop.listen()
    shop.put("deliveries", mode="held", retry_seconds=[600, 600])
    shop.v1.checkout.sessions.expire(shop.open().id)
    refused = {"status": {"next": 2, "status": 503}}
    shop.sandbox.call("PUT", "/control/receiver/faults", json=refused)

    tries = [shop.steer("deliveries/release")["attempts"], shop.flush(), shop.flush(), shop.flush()]

    assert [[one["status"] for one in tried] for tried in tries] == [[503], [503], [200], []]
    assert [one["state"] for one in shop.deliveries()["deliveries"]] == ["delivered"]
    bodies = {json.loads(body)["id"] for _headers, body in shop.received()}
    assert len(bodies) == 1


def test_ec131_an_event_that_is_never_taken_is_given_up(shop: Shop):
    shop.listen()
    shop.put("deliveries", mode="held", retry_seconds=[600])
    shop.v1.checkout.sessions.expire(shop.open().id)
    shop.sandbox.call("PUT", "/control/receiver/faults", json={"status": {"always": True}})

    tries = [shop.steer("deliveries/release")["attempts"], shop.flush(), shop.flush()]

    assert [len(tried) for tried in tries] == [1, 1, 0]
    (ended,) = shop.deliveries()["deliveries"]
    assert (ended["state"], ended["attempts"]) == ("given_up", 2)


def test_nobody_there_is_a_failed_try_too(shop: Shop):
    shop.put("endpoint", url="http://127.0.0.1:1/hook", secrets=[SECRET])
    shop.put("deliveries", retry_seconds=[])

    shop.v1.checkout.sessions.expire(shop.open().id)
    shop.flush()

    (attempt,) = shop.deliveries()["attempts"]
    assert (attempt["status"], attempt["error"]) == (None, "ConnectionError")
    assert [one["state"] for one in shop.deliveries()["deliveries"]] == ["given_up"]


def test_an_endpoint_of_the_api_tells_its_secret_once_and_gets_what_it_asked_for(shop: Shop):
    endpoints = shop.v1.webhook_endpoints
    url = f"{shop.sandbox.url}/receiver/api"
    made = endpoints.create({"url": url, "enabled_events": ["checkout.session.completed"]})

    shop.move(shop.open(), "pay")
    heard = shop.heard("api", made.secret)
    shown = endpoints.retrieve(made.id).to_dict()
    endpoints.update(made.id, {"disabled": True})
    shop.move(shop.open(), "pay")
    gone = endpoints.delete(made.id)

    assert [event.type for event in heard] == ["checkout.session.completed"]
    assert made.secret.startswith("whsec_")
    assert (shown["url"], shown["status"], "secret" in shown) == (url, "enabled", False)
    assert len(shop.heard("api", made.secret)) == 1
    assert (gone.deleted, endpoints.list().data) == (True, [])


@pytest.mark.parametrize("params", [{"url": "hook", "enabled_events": ["*"]}, {"url": "http://a/"}])
def test_half_an_endpoint_is_refused(shop: Shop, params: dict[str, object]):
    with pytest.raises(stripe.InvalidRequestError):
        shop.v1.webhook_endpoints.create(params)


def test_ec043_an_event_of_any_kind_can_be_made(shop: Shop):
    shop.listen()

    made = shop.steer(
        "events",
        type="balance.unheard_of",
        object={"id": "xx_1", "object": "balance"},
        livemode=True,
        account="acct_other",
    )

    (event,) = shop.heard()
    assert (event.id, event.type, event.livemode) == (made["id"], "balance.unheard_of", True)
    assert (event.account, event.data.object.id) == ("acct_other", "xx_1")
    assert shop.v1.events.retrieve(event.id).livemode is True


def test_the_body_is_signed_as_bytes_and_not_as_json(shop: Shop):
    shop.listen()
    shop.v1.checkout.sessions.expire(shop.open().id)
    shop.heard()

    headers, body = shop.received()[0]

    other = json.dumps(json.loads(body)).encode()
    assert body != other
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(other, headers["stripe-signature"], SECRET)
