"""Reloadly's faults and switches: the ways it misbehaves and the ways it may behave."""

import time
from dataclasses import dataclass

from flask import Response, request

from ops.sandbox.acting import ORDER_FAULTS, throttle_seconds
from ops.sandbox.faults import HEADER, FaultBoard, FaultKind, Strike
from ops.sandbox.orderbook import SUCCESSFUL, Ending
from ops.sandbox.reloadly_catalogue import Product
from ops.sandbox.reloadly_door import Refused

FAULTS = (
    *ORDER_FAULTS,
    FaultKind("auth_401", "order"),
    FaultKind("throttled_429", "order", {"retry_after": -1}),
    FaultKind("unavailable_503", "order"),
    FaultKind("out_of_stock", "order", {"status": 400, "error_code": ""}),
    FaultKind("wrong_value", "order", {"unit_price": 0}),
    FaultKind("processing", "order", {"seconds": 2.0, "then": SUCCESSFUL, "status": "PROCESSING"}),
    FaultKind("lookup_500", "lookup"),
    FaultKind("lookup_429", "lookup", {"retry_after": -1}),
    FaultKind("lookup_slow", "lookup", {"seconds": 60.0}),
    FaultKind("lookup_empty", "lookup", {"seconds": 5.0}),
    FaultKind("cards_500", "cards"),
    FaultKind("cards_slow", "cards", {"seconds": 60.0}),
    FaultKind("token_500", "token"),
    FaultKind("token_slow", "token", {"seconds": 60.0}),
)


@dataclass(frozen=True, slots=True)
class Switches:
    """How Reloadly behaves while nothing is wrong; unverified behaviour can be had both ways."""

    #: An order waits this long between the duplicate check and its execution: the open window.
    latency_seconds: float = 0.0
    #: The real sandbox refuses orders above 100 USD.
    cap_100_usd: bool = False
    #: New cards have numbers and PINs that are JSON integers.
    integer_cards: bool = False
    #: The codes of a one-card order come as a bare object instead of an array.
    object_cards: bool = False
    #: The codes of an open order are `[]` instead of 404.
    empty_cards_while_open: bool = False
    #: An empty account is refused without an error code.
    codeless_insufficient_balance: bool = False
    token_seconds: float = 3600.0


def suffer(faults: FaultBoard, point: str) -> Strike | None:
    """Draw the fault of a call that orders nothing: it fails, waits, or gets its strike."""
    strike = faults.draw(point, request.headers.get(HEADER))
    if strike is not None and strike.name.endswith("_500"):
        raise Refused(500, "Internal server error")
    if strike is not None and strike.name == "lookup_429":
        raise Refused(429, "Too many requests", retry_after=throttle_seconds(strike))
    if strike is not None and strike.name.endswith("_slow"):
        time.sleep(strike.number("seconds"))
    return strike


def strike_before(strike: Strike) -> None:
    """Act out the faults that hit before the order is looked at: nothing is executed."""
    match strike.name:
        case "auth_401":
            raise Refused(401, "The token is not valid", "INVALID_TOKEN")
        case "throttled_429":
            raise Refused(429, "Too many requests", retry_after=throttle_seconds(strike))
        case "unavailable_503":
            raise Refused(503, "Service unavailable")
        case "out_of_stock":
            code = strike.text("error_code") or None
            raise Refused(int(strike.number("status")), "Product is currently out of stock", code)


def unprocessable() -> Response:
    """Whether the order ran, this does not say."""
    message = "The transaction cannot be processed at the moment"
    raise Refused(500, message, "TRANSACTION_CANNOT_BE_PROCESSED_AT_THE_MOMENT")


def ending(product: Product, strike: Strike | None) -> Ending:
    """Say how the order stands now and later; no time to wait means its end is known now."""
    seconds, then, status = product.settles_after_seconds, SUCCESSFUL, "PROCESSING"
    if strike is not None and strike.name == "processing":
        seconds = strike.number("seconds")
        then, status = strike.text("then"), strike.text("status")
    if seconds <= 0:
        return Ending(then)
    return Ending(status, time.time() + seconds, then)
