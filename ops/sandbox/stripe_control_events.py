"""Let a test say who is told of events, when, in which order, how often and signed with what."""

import random
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response

from ops.sandbox.faults import BadControl
from ops.sandbox.stripe_account import Account
from ops.sandbox.stripe_control import refuse_wrong_moments, said
from ops.sandbox.stripe_deliveries import Attempt, claim_held, listing
from ops.sandbox.stripe_door import NAME, missing
from ops.sandbox.stripe_endpoints import Standing, stand
from ops.sandbox.stripe_events import add_event
from ops.sandbox.stripe_objects import Facts
from ops.sandbox.stripe_postman import Postman
from ops.sandbox.wire import reply

MODES = ("on", "held", "off")
ORDERS = ("kept", "reversed", "shuffled")
TIMES_MAX = 100
#: What an event that is made by hand may say of itself, beside its type and its object.
OWN_WORDS = ("livemode", "account", "api_version", "created", "request", "context", "id")


def event_control(account: Account, postman: Postman) -> Blueprint:
    pages = Blueprint(f"steer_{NAME}_events", __name__, url_prefix=f"/control/{NAME}")
    refuse_wrong_moments(pages)
    desk = EventDesk(account, postman)
    pages.get("/endpoints")(desk.list_endpoints)
    pages.put("/endpoint")(desk.set_endpoint)
    pages.delete("/endpoints")(desk.remove_endpoints)
    pages.get("/deliveries")(desk.list_deliveries)
    pages.put("/deliveries")(desk.set_mode)
    pages.post("/deliveries/release")(desk.release)
    pages.post("/deliveries/flush")(desk.flush)
    pages.get("/events")(desk.list_events)
    pages.post("/events")(desk.make_event)
    pages.post("/events/<identity>/deliver")(desk.deliver)
    return pages


class EventDesk:
    """The control calls about events: each answers one request."""

    def __init__(self, account: Account, postman: Postman) -> None:
        self._account = account
        self._postman = postman

    def list_endpoints(self) -> Response:
        with self._account.moment() as moment:
            rows = list(moment.objects.newest("webhook_endpoint"))
        return reply({"endpoints": [_with_secrets(row) for row in rows]})

    def set_endpoint(self) -> Response:
        """The one endpoint that needs no call of the API: an address and its signing secrets."""
        told = said()
        url, secrets = told.get("url"), told.get("secrets", [])
        types = told.get("enabled_events", ["*"])
        if not isinstance(url, str) or not _are_words(secrets) or not _are_words(types):
            raise BadControl("told are url, secrets and enabled_events")
        with self._account.moment() as moment:
            return reply(_with_secrets(stand(moment, Standing(url, tuple(secrets), tuple(types)))))

    def remove_endpoints(self) -> Response:
        with self._account.moment() as moment:
            rows = list(moment.objects.newest("webhook_endpoint"))
            for row in rows:
                moment.objects.remove(row["id"])
        return reply({"removed": len(rows)})

    def list_deliveries(self) -> Response:
        with self._account.moment() as moment:
            return reply({"mode": self._account.delivery} | listing(moment))

    def set_mode(self) -> Response:
        """From now on events are delivered, held back, or only to be had from `GET /v1/events`.

        `retry_seconds` lists the waits between tries; without one nothing is tried again.
        """
        told = {
            "mode": self._account.delivery,
            "retry_seconds": self._account.retry_seconds,
        } | said()
        mode, waits = told["mode"], told["retry_seconds"]
        if mode not in MODES:
            raise BadControl(f"mode must be one of {', '.join(MODES)}")
        if not isinstance(waits, list | tuple) or not all(_is_wait(wait) for wait in waits):
            raise BadControl("retry_seconds must be a list of numbers")
        self._account.delivery, self._account.retry_seconds = mode, tuple(waits)
        return reply({"mode": mode, "retry_seconds": waits})

    def release(self) -> Response:
        """Deliver what was held, each `times`, one after the other or all at once."""
        told: Facts = {"order": "shuffled", "seed": 0, "times": 1, "together": False} | said()
        if told["order"] not in ORDERS:
            raise BadControl(f"order must be one of {', '.join(ORDERS)}")
        times = _times(told["times"])
        with self._account.moment() as moment:
            held = claim_held(moment)
        tries = held * times
        if told["order"] == "reversed":
            tries.reverse()
        if told["order"] == "shuffled":
            random.Random(told["seed"]).shuffle(tries)
        if not tries:
            return reply({"attempts": []})
        return _told(self._postman.carry_tries(tries, together=bool(told["together"])))

    def flush(self) -> Response:
        """Wait for what is on its way, and try everything that waits once more, now."""
        return _told(self._postman.flush())

    def list_events(self) -> Response:
        with self._account.moment() as moment:
            rows = list(moment.objects.newest("event"))
        return reply({"events": rows})

    def make_event(self) -> Response:
        """Any event: of a type nobody knows, of real money, of another account."""
        told = said()
        if not isinstance(told.get("type"), str) or not isinstance(told.get("object"), dict):
            raise BadControl("an event needs a type and an object")
        data: Facts = {"object": told["object"]}
        if "previous_attributes" in told:
            data["previous_attributes"] = told["previous_attributes"]
        own = {name: told[name] for name in OWN_WORDS if name in told}
        with self._account.moment() as moment:
            return reply(add_event(moment, own | {"type": told["type"], "data": data}))

    def deliver(self, identity: str) -> Response:
        """An event once more, or often, to every endpoint, signed as its secrets or others say."""
        told = said()
        times, secrets = _times(told.get("times", 1)), told.get("secrets")
        if secrets is not None and not _are_words(secrets):
            raise BadControl("secrets must be a list of texts")
        with self._account.moment() as moment:
            event = moment.objects.get("event", identity)
            endpoints = list(moment.objects.newest("webhook_endpoint"))
        if event is None:
            raise missing("event", identity)
        age = float(told.get("age_seconds", self._account.switches.current.signature_age_seconds))
        return _told(
            self._postman.post_often(
                [
                    (event, one["url"], one["_secrets"] if secrets is None else secrets)
                    for one in endpoints * times
                ],
                age=age,
                together=bool(told.get("together", False)),
            )
        )


def _with_secrets(endpoint: Facts) -> Facts:
    return {name.removeprefix("_"): value for name, value in endpoint.items()}


def _told(attempts: list[Attempt]) -> Response:
    return reply({"attempts": [asdict(attempt) for attempt in attempts]})


def _are_words(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _is_wait(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _times(value: Any) -> int:
    if type(value) is not int or not 0 < value <= TIMES_MAX:
        raise BadControl(f"times must be from 1 to {TIMES_MAX}")
    return value
