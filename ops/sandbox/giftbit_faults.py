"""Giftbit's faults and switches: the ways it misbehaves and the ways it may behave."""

import time
from dataclasses import dataclass

from flask import Response, request

from ops.sandbox.acting import ORDER_FAULTS, throttle_seconds
from ops.sandbox.faults import HEADER, FaultBoard, FaultKind, Strike
from ops.sandbox.giftbit_door import Refused, too_many, unauthorized
from ops.sandbox.orderbook import SUCCESSFUL, Ending, Order
from ops.sandbox.wire import reply

#: Links are being made.
CREATING = "API_CREATING"
FAULTS = (
    *ORDER_FAULTS,
    FaultKind("auth_401", "order"),
    FaultKind("throttled_429", "order", {"retry_after": -1}),
    FaultKind("unavailable_503", "order"),
    FaultKind("out_of_stock", "order"),
    FaultKind("wrong_value", "order", {"price_in_cents": 0}),
    #: With the status AWAITING_FUNDS the order says that money is missing.
    FaultKind("processing", "order", {"seconds": 2.0, "then": SUCCESSFUL, "status": CREATING}),
    #: Executed, and the answer carries no link.
    FaultKind("no_link", "order"),
    FaultKind("lookup_500", "lookup"),
    FaultKind("lookup_429", "lookup", {"retry_after": -1}),
    FaultKind("lookup_slow", "lookup", {"seconds": 60.0}),
    FaultKind("lookup_empty", "lookup", {"seconds": 5.0}),
    FaultKind("links_500", "links"),
    FaultKind("links_slow", "links", {"seconds": 60.0}),
    FaultKind("links_not_ready", "links"),
)


@dataclass(frozen=True, slots=True)
class Switches:
    """How Giftbit behaves while nothing is wrong; unverified behaviour can be had both ways."""

    #: An order waits this long between the duplicate check and its execution.
    latency_seconds: float = 0.0
    #: How a repeated order is answered: 200 with the order, or refused with 409 or 422.
    replay_status: int = 200
    #: A repeated reference with another body is refused with 422, where else it gets the order.
    refuses_other_body: bool = False
    #: How a reference is answered that nobody has: 422 or 404.
    absent_status: int = 422
    #: Orders are shown without price, fees and number of links, as in the documented example.
    bare_campaigns: bool = False


def suffer(faults: FaultBoard, point: str) -> Strike | None:
    """Draw the fault of a call that orders nothing: it fails, waits, or gets its strike."""
    strike = faults.draw(point, request.headers.get(HEADER))
    if strike is not None and strike.name.endswith("_500"):
        raise Refused(500, "ERROR_INTERNAL", "An unexpected error occurred")
    if strike is not None and strike.name == "lookup_429":
        raise too_many(throttle_seconds(strike))
    if strike is not None and strike.name.endswith("_slow"):
        time.sleep(strike.number("seconds"))
    return strike


def strike_before(strike: Strike) -> None:
    """Act out the faults that hit before the order is looked at: nothing is executed."""
    match strike.name:
        case "auth_401":
            raise unauthorized()
        case "throttled_429":
            raise too_many(throttle_seconds(strike))
        case "unavailable_503":
            raise Refused(503, "ERROR_UNAVAILABLE", "Service unavailable")
        case "out_of_stock":
            message = "The brand is currently out of stock"
            raise Refused(422, "ERROR_CAMPAIGN_INVALID_BRAND", message)


def broken() -> Response:
    """Whether the order ran, this does not say; a 5xx may have any body."""
    return reply({"message": "Internal server error"}, 500)


def ending(strike: Strike | None) -> Ending:
    """Say how the order stands now and later; no time to wait means its end is known now."""
    if strike is None or strike.name != "processing":
        return Ending()
    seconds, then = strike.number("seconds"), strike.text("then")
    if seconds <= 0:
        return Ending(then)
    return Ending(strike.text("status"), time.time() + seconds, then)


def is_hidden(order: Order, strike: Strike | None) -> bool:
    """A look-up may lag behind: an order that is younger than the strike says is not known yet."""
    if strike is None or strike.name != "lookup_empty":
        return False
    return order.created_at > time.time() - strike.number("seconds")
