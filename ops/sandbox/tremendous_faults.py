"""Tremendous' faults and switches: the ways it misbehaves and the ways it may behave."""

import time
from dataclasses import dataclass

from flask import Response, request

from ops.sandbox.acting import ORDER_FAULTS, throttle_seconds
from ops.sandbox.faults import HEADER, FaultBoard, FaultKind, Strike
from ops.sandbox.orderbook import SUCCESSFUL, Ending, Order
from ops.sandbox.tremendous_door import Refused
from ops.sandbox.wire import reply

FAULTS = (
    *ORDER_FAULTS,
    FaultKind("auth_401", "order"),
    FaultKind("throttled_429", "order", {"retry_after": -1}),
    FaultKind("unavailable_503", "order"),
    FaultKind("out_of_stock", "order"),
    FaultKind("wrong_value", "order", {"denomination": 0}),
    FaultKind("processing", "order", {"seconds": 2.0, "then": SUCCESSFUL, "status": "OPEN"}),
    #: Executed, and the answer carries no link.
    FaultKind("no_link", "order"),
    FaultKind("lookup_500", "lookup"),
    FaultKind("lookup_429", "lookup", {"retry_after": -1}),
    FaultKind("lookup_slow", "lookup", {"seconds": 60.0}),
    FaultKind("lookup_empty", "lookup", {"seconds": 5.0}),
    FaultKind("link_403", "link"),
    FaultKind("link_500", "link"),
    FaultKind("link_slow", "link", {"seconds": 60.0}),
    FaultKind("drop_after_link", "link"),
)


@dataclass(frozen=True, slots=True)
class Switches:
    """How Tremendous behaves while nothing is wrong; unverified behaviour can be had both ways."""

    #: An order waits this long between the duplicate check and its execution.
    latency_seconds: float = 0.0
    #: While the first order of a reference runs, the second is refused with 409 and not made wait.
    overlap_conflicts: bool = False
    #: A repeated order is answered with its link too.
    link_in_replay: bool = False
    #: An order that the account cannot pay is kept, failed, under its reference.
    keeps_unpaid_orders: bool = False
    #: Refusals say `error` and a text, as the documented 429 does.
    plain_errors: bool = False


def suffer(faults: FaultBoard, point: str) -> Strike | None:
    """Draw the fault of a call that orders nothing: it fails, waits, or gets its strike."""
    strike = faults.draw(point, request.headers.get(HEADER))
    if strike is not None and strike.name.endswith("_500"):
        raise Refused(500, "Internal server error")
    if strike is not None and strike.name == "lookup_429":
        raise Refused(429, "Too many requests", retry_after=throttle_seconds(strike), is_plain=True)
    if strike is not None and strike.name.endswith("_slow"):
        time.sleep(strike.number("seconds"))
    return strike


def strike_before(strike: Strike) -> None:
    """Act out the faults that hit before the order is looked at: nothing is executed."""
    match strike.name:
        case "auth_401":
            raise Refused(401, "Unauthorized access. Make sure to authenticate with an API key")
        case "throttled_429":
            wait = throttle_seconds(strike)
            raise Refused(429, "Too many requests", retry_after=wait, is_plain=True)
        case "unavailable_503":
            raise Refused(503, "Service unavailable")
        case "out_of_stock":
            told = {"reward": {"products": "is out of stock"}}
            raise Refused(422, "A product is out of stock", told)


def broken() -> Response:
    """Whether the order ran, this does not say."""
    return reply({"errors": {"message": "Internal server error"}}, 500)


def ending(strike: Strike | None) -> Ending:
    """Say how the order stands now and later; no time to wait means its end is known now."""
    if strike is None or strike.name != "processing":
        return Ending()
    seconds, then = strike.number("seconds"), strike.text("then")
    return (
        Ending(then) if seconds <= 0 else Ending(strike.text("status"), time.time() + seconds, then)
    )


def is_hidden(order: Order, strike: Strike | None) -> bool:
    """A look-up may lag behind: an order that is younger than the strike says is not known yet."""
    if strike is None or strike.name != "lookup_empty":
        return False
    return order.created_at > time.time() - strike.number("seconds")
