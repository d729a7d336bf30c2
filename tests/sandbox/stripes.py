"""Drive the sandbox's Stripe with Stripe's own SDK, and steer it as its buyers and banks."""

import base64
from typing import Any

import stripe

from tests.sandbox.conftest import Running

SECRET = "whsec_KANARIE0one"
LINE = {
    "quantity": 2,
    "price_data": {"currency": "usd", "unit_amount": 1999, "product_data": {"name": "Plan"}},
}
ASKED: dict[str, Any] = {
    "mode": "payment",
    "success_url": "http://127.0.0.1:1/done?session={CHECKOUT_SESSION_ID}",
    "cancel_url": "http://127.0.0.1:1/cart",
    "client_reference_id": "usage-1",
    "metadata": {"usage_id": "usage-1"},
    "payment_intent_data": {"metadata": {"usage_id": "usage-1"}},
    "line_items": [LINE],
}


def line_of(amount: int, currency: str = "usd") -> dict[str, Any]:
    price = {"currency": currency, "unit_amount": amount, "product_data": {"name": "Plan"}}
    return {"quantity": 1, "price_data": price}


def client_of(sandbox: Running, key: str = "sk_test_1") -> stripe.StripeClient:
    return stripe.StripeClient(key, base_addresses={"api": f"{sandbox.url}/stripe"})


class Shop:
    """A shop with an account at Stripe."""

    def __init__(self, sandbox: Running) -> None:
        self.sandbox = sandbox
        self.client = client_of(sandbox)
        self.v1 = self.client.v1

    def open(self, *, key: str | None = None, **fields: Any) -> stripe.checkout.Session:
        options = {"idempotency_key": key} if key else {}
        asked = {name: value for name, value in (ASKED | fields).items() if value is not None}
        return self.v1.checkout.sessions.create(asked, options)

    def session(self, identity: str) -> stripe.checkout.Session:
        return self.v1.checkout.sessions.retrieve(identity)

    def steer(self, path: str, **told: Any) -> dict[str, Any]:
        answer = self.sandbox.call("POST", f"/control/stripe/{path}", json=told)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def move(self, session: Any, what: str, **told: Any) -> dict[str, Any]:
        return self.steer(f"sessions/{session.id}/{what}", **told)

    def put(self, what: str, **told: Any) -> None:
        answer = self.sandbox.call("PUT", f"/control/stripe/{what}", json=told)
        assert answer.status_code == 200, answer.text

    def summary(self) -> dict[str, Any]:
        return self.sandbox.call("GET", "/control/stripe/summary").json()

    def types(self) -> list[str]:
        """The types of all events, the oldest first."""
        listed = self.v1.events.list({"limit": 100}).data
        return [event.type for event in reversed(listed)]

    def listen(self, name: str = "hook", secrets: tuple[str, ...] = (SECRET,)) -> str:
        """Let the sandbox's own receiver, over HTTP, be who is told of events."""
        url = f"{self.sandbox.url}/receiver/{name}"
        self.put("endpoint", url=url, secrets=list(secrets))
        return url

    def flush(self) -> list[dict[str, Any]]:
        return self.steer("deliveries/flush")["attempts"]

    def received(self, name: str = "hook") -> list[tuple[dict[str, str], bytes]]:
        """Headers and bytes of what came, the oldest first."""
        answer = self.sandbox.call("GET", "/control/receiver/calls", params={"name": name})
        calls = answer.json()["calls"]
        return [(call["headers"], base64.b64decode(call["body"])) for call in calls]

    def heard(self, name: str = "hook", secret: str = SECRET) -> list[stripe.Event]:
        """The events that came, each with a good signature."""
        self.flush()
        return [
            stripe.Webhook.construct_event(body, headers["stripe-signature"], secret)
            for headers, body in self.received(name)
        ]

    def deliveries(self) -> dict[str, Any]:
        return self.sandbox.call("GET", "/control/stripe/deliveries").json()

    def arm(self, **faults: dict[str, Any]) -> None:
        self.put("faults", **faults)
