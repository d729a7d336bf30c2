"""Make an event of every change, and say to which endpoints it goes."""

from collections.abc import Iterable

from ops.sandbox.stripe_door import API_VERSION
from ops.sandbox.stripe_objects import Facts, Moment, new_id, shown
from ops.sandbox.stripe_switches import Switches

#: A delivery that is due some time, that waits to be released, that is on its way, and its ends.
WAITING, HELD, SENDING = "waiting", "held", "sending"
DELIVERED, GIVEN_UP = "delivered", "given_up"


def emit(moment: Moment, kind: str, about: Facts, previous: Facts | None = None) -> Facts:
    """The event `kind` with the object as it is now, on its way to whoever asked for it."""
    snapshot = shown(about)
    if about["object"] == "checkout.session":
        snapshot |= _lied(snapshot, moment.switches)
    data: Facts = {"object": snapshot}
    if previous is not None:
        data["previous_attributes"] = previous
    return add_event(moment, {"type": kind, "data": data, "request": moment.cause})


def add_event(moment: Moment, told: Facts) -> Facts:
    """An event of these fields; what is not told is as usual."""
    usual: Facts = {
        "id": new_id("event"),
        "object": "event",
        "api_version": API_VERSION,
        "created": moment.now,
        "livemode": False,
        "pending_webhooks": 0,
        "request": {"id": None, "idempotency_key": None},
    }
    event = moment.objects.add(usual | told)
    if moment.delivery != "off":
        _address(moment, event)
    return event


def pending(moment: Moment, event: Facts) -> int:
    """How many endpoints have not taken it yet."""
    counted = "SELECT count(*) FROM stripe_deliveries WHERE event = ? AND state IN (?, ?, ?)"
    told = (event["id"], WAITING, HELD, SENDING)
    row = moment.objects.connection.execute(counted, told).fetchone()
    return int(row[0])


def is_asked_for(kind: str, types: Iterable[str]) -> bool:
    """`*` is any; `charge.*`, which only lists of events take, is all of a family."""
    return any(
        one in ("*", kind) or (one.endswith(".*") and kind.startswith(one[:-1])) for one in types
    )


def _address(moment: Moment, event: Facts) -> None:
    state = HELD if moment.delivery == "held" else WAITING
    moment.is_stirring = True
    for endpoint in moment.objects.newest("webhook_endpoint"):
        if endpoint["status"] == "enabled" and is_asked_for(
            event["type"], endpoint["enabled_events"]
        ):
            moment.objects.connection.execute(
                "INSERT INTO stripe_deliveries (event, endpoint, state, attempts, due_at)"
                " VALUES (?, ?, ?, 0, 0)",
                (event["id"], endpoint["id"], state),
            )


def _lied(session: Facts, switches: Switches) -> Facts:
    """EC-049: another amount or currency than was asked for."""
    total = session["amount_total"] + switches.event_amount_off
    return {"amount_total": total, "currency": switches.event_currency or session["currency"]}
