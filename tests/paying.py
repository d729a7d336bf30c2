"""A shop whose shoppers pay at the sandbox's Stripe, for tests."""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import stripe
from flask import Flask
from werkzeug.test import TestResponse

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.providers.stripe_answers import ToldMany
from pipelines.queue.defer import defer
from pipelines.queue.kinds import TaskKind
from pipelines.wiring import House, build_handlers
from tests.discounting import asked
from tests.driving import change, drain, rows
from tests.seeding import Seeded
from tests.vendor import Sandbox
from tests.web.conftest import Caller
from workers.wrapper import Wrapper

SUCCESS, CANCEL = "https://shop.example/thanks", "https://shop.example/cart"
WHERE = {"success_url": SUCCESS, "cancel_url": CANCEL}
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass
class Till:
    """A storefront, the house behind it, and Stripe."""

    app: Flask
    house: House
    seeded: Seeded
    shop: Caller
    sandbox: Sandbox
    delivered: set[str] = field(default_factory=set)
    worker: Wrapper | None = None

    def reserve(self, code: str = "SAVE10", **given: Any) -> dict[str, Any]:
        """A reservation, as `apply` shows it."""
        answer = self.shop.post("/discounts/apply", asked(code, **given))
        assert answer.status_code in {200, 201}, answer.json
        found: dict[str, Any] = answer.json["reservation"]
        return found

    def begin(self, reservation: dict[str, Any] | None = None, **given: Any) -> TestResponse:
        body = WHERE | given
        if reservation is not None:
            body["reservation_id"] = reservation["id"]
        return self.shop.post("/checkout", body)

    def checkout(self, reservation: dict[str, Any] | None = None, **given: Any) -> dict[str, Any]:
        """A purchase, as `checkout` shows it."""
        answer = self.begin(reservation, **given)
        assert answer.status_code in {200, 201}, answer.json
        found: dict[str, Any] = answer.json
        return found

    def purchase(self, purchase_id: str) -> dict[str, Any]:
        answer = self.shop.get(f"/purchases/{purchase_id}")
        assert answer.status_code == 200, answer.json
        found: dict[str, Any] = answer.json
        return found

    def steer(self, path: str, **told: Any) -> Any:
        """What a buyer, a bank or a person does at Stripe."""
        return self.sandbox.control("POST", f"/stripe/{path}", told)

    def move(self, purchase: dict[str, Any], what: str, **told: Any) -> Any:
        """What happens to the page of a purchase."""
        return self.steer(f"sessions/{purchase['session_id']}/{what}", **told)

    def events(self) -> list[dict[str, Any]]:
        """Every event of the account, the oldest first."""
        door = self.house.paying.door
        assert door is not None
        found: list[Any] = []
        after: str | None = None
        while True:
            page = door.events(LONG_AGO, after=after)
            assert isinstance(page, ToldMany), page
            found += page.things
            if not page.has_more:
                return found[::-1]
            after = page.things[-1]["id"]

    def post_event(self, event: dict[str, Any], *, secret: str | None = None) -> TestResponse:
        """Deliver one event as Stripe does."""
        body = json.dumps(event).encode()
        signed = stripe.WebhookSignature.generate_signature_header(
            body.decode(), secret or self.house.paying.secrets[0], int(time.time())
        )
        return self.app.test_client().post(
            "/api/v1/webhooks/stripe",
            data=body,
            headers={"Stripe-Signature": signed, "Content-Type": "application/json"},
        )

    def deliver(self, events: Iterable[dict[str, Any]] | None = None) -> None:
        """Deliver these events, or all that were not delivered yet, and let the work be done."""
        self.work()
        for event in self.new_events() if events is None else events:
            self.delivered.add(event["id"])
            answer = self.post_event(event)
            assert answer.status_code == 200, answer.json
            self.work()

    def work(self) -> None:
        """Do what is due, be it on its way to a worker or not."""
        change(self.house, "UPDATE tasks SET rung_at = NULL")
        if self.worker is None:
            self.worker = Wrapper(self.house.sessions, build_handlers(self.house), draw=lambda: 0.0)
        drain(self.house, wrapper=self.worker)

    def new_events(self) -> list[dict[str, Any]]:
        return [event for event in self.events() if event["id"] not in self.delivered]

    def pass_time(self, **ahead: float) -> None:
        """The time of every reservation comes closer by so much, and of what waits for it."""
        seconds = timedelta(**ahead).total_seconds()
        for table, column in (("discount_usages", "expires_at"), ("tasks", "run_after")):
            change(
                self.house,
                f"UPDATE {table} SET {column} = {column} - make_interval(secs => :seconds)",
                seconds=seconds,
            )
        self.work()

    def usage(self, purchase: dict[str, Any]) -> Any:
        """The row of a purchase's slot."""
        (row,) = rows(
            self.house,
            "SELECT u.* FROM discount_usages u JOIN purchases p ON p.usage_id = u.id "
            "WHERE p.id = :id",
            id=UUID(purchase["purchase_id"]),
        )
        return row

    def event_states(self) -> Sequence[str]:
        return [
            row.state
            for row in rows(self.house, "SELECT state FROM stripe_events ORDER BY received_at, id")
        ]


def alerts_of(house: House) -> list[str]:
    """What was raised, by kind, once each, in order."""
    found = rows(house, "SELECT DISTINCT kind FROM alert_signals WHERE NOT is_over")
    return sorted(row.kind for row in found)


def run_duty(till: Till, kind: TaskKind) -> None:
    """A duty, once."""
    with scoped_transaction(till.house.sessions, SYSTEM) as session:
        defer(session, kind, args={}, now=clock.now(session))
    till.work()
