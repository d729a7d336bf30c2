"""Each fault of Stripe at each kind of call, as the SDK meets it; the next call is whole again."""

from collections.abc import Callable
from typing import Any

import pytest
import stripe

from tests.sandbox.conftest import Running
from tests.sandbox.stripes import ASKED, Shop

#: A fault, what the SDK raises, and the status and code that it finds.
MET: list[tuple[str, type[stripe.StripeError], int | None, str | None]] = [
    ("auth_401", stripe.AuthenticationError, 401, None),
    ("throttled_429", stripe.RateLimitError, 429, "rate_limit"),
    ("lock_timeout", stripe.RateLimitError, 429, "lock_timeout"),
    ("error_500_before", stripe.APIError, 500, None),
    ("error_500_after", stripe.APIError, 500, None),
    ("drop_before_create", stripe.APIConnectionError, None, None),
    ("drop_after_create", stripe.APIConnectionError, None, None),
    ("html_502", stripe.APIError, 502, None),
    ("garbage", stripe.APIError, 200, None),
]

POINTS = ("session", "expire", "refund", "endpoint", "retrieve", "events")


@pytest.fixture
def shop(sandbox: Running) -> Shop:
    return Shop(sandbox)


def call_at(shop: Shop, point: str) -> Callable[[], Any]:
    """A call that passes this point, good whenever it is made."""
    made = shop.open()
    sessions = shop.v1.checkout.sessions
    match point:
        case "session":
            return shop.open
        case "expire":
            return lambda: sessions.expire(made.id, options={"idempotency_key": "expire:1"})
        case "refund":
            shop.move(made, "pay")
            payment = shop.session(made.id).payment_intent
            return lambda: shop.v1.refunds.create({"payment_intent": payment, "amount": 1})
        case "endpoint":
            asked = {"url": "http://127.0.0.1:1/hook", "enabled_events": ["*"]}
            return lambda: shop.v1.webhook_endpoints.create(asked)
        case "retrieve":
            return lambda: sessions.retrieve(made.id)
    return shop.v1.events.list


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize(("fault", "raised", "status", "code"), MET)
def test_ec034_a_fault_strikes_one_call_at_its_point(
    shop: Shop,
    point: str,
    fault: str,
    raised: type[stripe.StripeError],
    status: int | None,
    code: str | None,
):
    name = fault if point == "session" else f"{point}_{fault}"
    call = call_at(shop, point)
    shop.arm(**{name: {"next": 1}})

    with pytest.raises(raised) as met:
        call()

    assert type(met.value) is raised
    told = (met.value.json_body or {}).get("error", {})
    assert (met.value.http_status, told.get("code")) == (status, code)
    assert shop.summary()["faults_fired"] == {name: 1}
    if (point, fault) == ("expire", "error_500_after"):
        with pytest.raises(stripe.APIError) as replayed:
            call()
        assert replayed.value.headers["Idempotent-Replayed"] == "true"
    else:
        call()


def test_a_throttled_call_may_be_told_how_long_to_wait(shop: Shop):
    shop.arm(throttled_429={"next": 1, "retry_after": 7})

    with pytest.raises(stripe.RateLimitError) as met:
        shop.open()

    assert met.value.headers["Retry-After"] == "7"


@pytest.mark.parametrize("made_first", [True, False])
def test_ec034_a_slow_call_is_made_whatever_its_caller_waits_for(shop: Shop, made_first: bool):
    shop.arm(slow={"next": 1, "seconds": 0.3, "created_first": made_first})
    patience = stripe.RequestsClient(timeout=0.1)
    base = {"api": f"{shop.sandbox.url}/stripe"}
    client = stripe.StripeClient("sandbox", base_addresses=base, http_client=patience)

    with pytest.raises(stripe.APIConnectionError):
        client.v1.checkout.sessions.create(ASKED)

    assert (shop.summary()["sessions"] == {"open": 1}) is made_first


def test_calls_are_counted_by_their_kind(shop: Shop):
    made = shop.open()
    shop.session(made.id)
    shop.v1.checkout.sessions.expire(made.id)

    assert shop.summary()["calls"] == {
        "GET /v1/checkout/sessions/{identity}": 1,
        "POST /v1/checkout/sessions": 1,
        "POST /v1/checkout/sessions/{identity}/expire": 1,
    }


def test_ec049_a_session_may_show_another_total_than_it_has(shop: Shop):
    made = shop.open()

    shop.put("switches", shown_amount_off=-1)

    assert shop.session(made.id).amount_total == 3997


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("PUT faults", {"expire_fly": {"next": 1}}),
        ("PUT switches", {"latency": 1}),
        ("PUT endpoint", {"secrets": ["whsec_1"]}),
        ("PUT deliveries", {"mode": "sometimes"}),
        ("PUT deliveries", {"retry_seconds": "1,5"}),
        ("POST deliveries/release", {"order": "alphabetical"}),
        ("POST deliveries/release", {"times": 0}),
        ("POST events", {"type": "x"}),
        ("POST sessions/{session}/pay", {"amount": 1}),
        ("POST payments/{session}/refund", {"status": "maybe"}),
    ],
)
def test_a_control_that_is_not_known_is_refused(shop: Shop, path: str, body: dict[str, Any]):
    """Nobody is to believe that a test steered what it did not."""
    method, _space, where = path.partition(" ")
    where = where.format(session=shop.open().id)

    answer = shop.sandbox.call(method, f"/control/stripe/{where}", json=body)

    assert answer.status_code == 400
    assert answer.json()["error"]
