"""Post events to endpoints, signed, and again until they are taken; end sessions meanwhile."""

import json
import threading
import time
from collections.abc import Iterable, Sized
from concurrent.futures import ThreadPoolExecutor

import requests

from ops.sandbox.faults import BadControl
from ops.sandbox.stripe_account import Account
from ops.sandbox.stripe_deliveries import (
    Attempt,
    Delivery,
    claim,
    count_sending,
    log,
    next_due,
    put_back,
    settle,
)
from ops.sandbox.stripe_events import pending
from ops.sandbox.stripe_objects import Facts
from ops.sandbox.stripe_signing import sign

#: The clock is looked at so often, whatever happens.
LOOK_SECONDS = 0.5
#: A control call waits at most so long for what is on its way.
WAIT_SECONDS = 60.0
REST_SECONDS = 2.0
#: What several endpoints, or several tries at once, may have.
THREADS_MAX = 32


class Postman:
    """The only one who carries events out."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._came_back = threading.Condition()
        self._posting = 0

    def start(self) -> None:
        with self._account.moment() as moment:
            put_back(moment)
        threading.Thread(target=self._walk, name="stripe-postman", daemon=True).start()

    def carry(self, deliveries: Iterable[Delivery]) -> list[Attempt]:
        """Try these now, one after the other, and write down how it went."""
        return [attempt for one in deliveries for attempt in self.carry_tries([one])]

    def carry_tries(self, tries: list[Delivery], *, together: bool = False) -> list[Attempt]:
        """Tries in this order, the same delivery perhaps several times; then each is settled."""
        try:
            with ThreadPoolExecutor(_hands(tries, together=together)) as hands:
                done = list(hands.map(self._try, tries))
            for one in {delivery.number: delivery for delivery in tries}.values():
                mine = [made for made, tried in zip(done, tries, strict=True) if tried == one]
                self._settle(one, [attempt for attempt in mine if attempt is not None])
        finally:
            with self._came_back:
                self._came_back.notify_all()
        return [attempt for attempt in done if attempt is not None]

    def post_often(
        self, posts: list[tuple[Facts, str, list[str]]], *, age: float, together: bool
    ) -> list[Attempt]:
        """Events to addresses, beside their own deliveries: one after the other, or all at once."""

        def post(told: tuple[Facts, str, list[str]]) -> Attempt:
            event, url, secrets = told
            return self.post(event, url, secrets, age=age)

        with ThreadPoolExecutor(_hands(posts, together=together)) as hands:
            return list(hands.map(post, posts))

    def flush(self) -> list[Attempt]:
        """Try everything that waits, once, without minding when it is due."""
        ends = time.monotonic() + WAIT_SECONDS
        with self._came_back:
            while (due := self._claimed_when_idle()) is None:
                if time.monotonic() > ends:
                    raise BadControl("an endpoint takes too long to answer")
                self._came_back.wait(LOOK_SECONDS)
        return self.carry(due)

    def rest(self) -> None:
        """A moment for what is on its way, so that it comes before a reset and not after it."""
        with self._came_back:
            self._came_back.wait_for(lambda: self._posting == 0, REST_SECONDS)

    def post(self, event: Facts, url: str, secrets: Iterable[str], *, age: float) -> Attempt:
        """One try; `age` is how old its signature says that it is."""
        body = json.dumps(event, indent=2).encode()
        signature = sign(body, secrets, at=int(time.time() - age))
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature,
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }
        status, error = self._posted(url, body, headers)
        attempt = Attempt(event["id"], event["type"], url, signature, status, error, time.time())
        with self._account.moment() as moment:
            log(moment, attempt)
        return attempt

    def _posted(
        self, url: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int | None, str | None]:
        """What was answered, or why nothing was."""
        seconds = self._account.switches.current.delivery_seconds
        with self._came_back:
            self._posting += 1
        try:
            answer = requests.post(
                url, body, headers=headers, timeout=seconds, allow_redirects=False
            )
        except requests.RequestException as fault:
            return None, type(fault).__name__
        finally:
            with self._came_back:
                self._posting -= 1
                self._came_back.notify_all()
        return answer.status_code, None

    def _walk(self) -> None:
        """Rounds without end; what goes wrong in one of them is the next one's work."""
        while True:
            self._account.stirred.wait(self._seconds_to_next())
            self._account.stirred.clear()
            with self._account.moment() as moment:
                most = max(1, moment.switches.deliveries_at_once)
                due = claim(moment, due_by=time.time(), most=most)
            if due:
                self._account.stirred.set()
                self._carry_round(due)

    def _carry_round(self, due: list[Delivery]) -> None:
        with ThreadPoolExecutor(len(due)) as hands:
            list(hands.map(lambda one: self.carry_tries([one]), due))

    def _seconds_to_next(self) -> float:
        with self._account.moment() as moment:
            due = next_due(moment)
        if due is None:
            return LOOK_SECONDS
        return min(LOOK_SECONDS, max(0.0, due - time.time()))

    def _try(self, delivery: Delivery) -> Attempt | None:
        """None where the endpoint is gone."""
        with self._account.moment() as moment:
            event = moment.objects.get("event", delivery.event)
            endpoint = moment.objects.get("webhook_endpoint", delivery.endpoint)
            if event is None or endpoint is None or endpoint["status"] != "enabled":
                return None
            event["pending_webhooks"] = pending(moment, event)
        age = self._account.switches.current.signature_age_seconds
        return self.post(event, endpoint["url"], endpoint["_secrets"], age=age)

    def _settle(self, delivery: Delivery, attempts: list[Attempt]) -> None:
        waits = self._account.retry_seconds
        tried = delivery.attempts + len(attempts)
        again_at = None
        if attempts and tried <= len(waits):
            again_at = time.time() + waits[tried - 1]
        with self._account.moment() as moment:
            settle(moment, delivery, attempts, again_at=again_at)

    def _claimed_when_idle(self) -> list[Delivery] | None:
        """All that waits, or None while one is on its way: looked at and taken at one moment.

        Otherwise a round could take the next in between, and what is after it could overtake it.
        """
        with self._account.moment() as moment:
            if count_sending(moment) > 0:
                return None
            return claim(moment, due_by=float("inf"), most=-1)


def _hands(work: Sized, *, together: bool) -> int:
    return max(1, min(len(work), THREADS_MAX)) if together else 1
