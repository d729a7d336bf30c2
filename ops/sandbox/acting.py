"""Play the faults that every vendor's order can suffer, whatever its wire format is."""

import time
from collections.abc import Callable

from flask import Response, request

from ops.sandbox.faults import FaultKind, Strike
from ops.sandbox.wire import bad_gateway, cut_connection, first_half

#: The faults that `play` acts out. Every vendor has these under these names, and beside them, in
#: its own words: auth_401, throttled_429, unavailable_503, out_of_stock, wrong_value, processing.
ORDER_FAULTS = (
    FaultKind("error_500_before", "order"),
    FaultKind("drop_before_create", "order"),
    FaultKind("html_502", "order", {"created": False}),
    FaultKind("slow", "order", {"seconds": 60.0, "created_first": False}),
    FaultKind("error_500_after", "order"),
    FaultKind("drop_after_create", "order"),
    FaultKind("garbage", "order"),
)


def play(
    strike: Strike | None, execute: Callable[[], Response], *, broken: Callable[[], Response]
) -> Response:
    """Answer an order as the strike says; `execute` sells, `broken` is the vendor's own 500."""
    name = "" if strike is None else strike.name
    if strike is None:
        return execute()
    if name == "drop_before_create":
        cut_connection(request.environ)
    if name == "error_500_before":
        return broken()
    if name == "html_502" and not strike.flag("created"):
        return bad_gateway()
    if name == "slow" and not strike.flag("created_first"):
        time.sleep(strike.number("seconds"))
    answer = execute()
    if name == "slow" and strike.flag("created_first"):
        time.sleep(strike.number("seconds"))
    if name == "drop_after_create":
        cut_connection(request.environ)
    if name == "error_500_after":
        return broken()
    if name == "html_502":
        return bad_gateway()
    return first_half(answer) if name == "garbage" else answer


def throttle_seconds(strike: Strike) -> int | None:
    """The Retry-After of a throttled_429; None where the vendor names none."""
    wait = int(strike.number("retry_after"))
    return None if wait < 0 else wait
