"""Stripe's faults: the ways it misbehaves, at each kind of call."""

from collections.abc import Callable
from dataclasses import replace

from flask import Response, request

from ops.sandbox.acting import play, throttle_seconds
from ops.sandbox.faults import HEADER, FaultBoard, FaultKind, Param, Strike
from ops.sandbox.stripe_door import Refused, broken, wrong_key

#: The calls that change something, and those that only look.
POSTS, READS = ("session", "expire", "refund", "endpoint"), ("retrieve", "events")
#: At the point `session` they have these names; elsewhere the point stands before them:
#: `expire_drop_after_create`, `events_throttled_429`.
ANYWHERE: dict[str, dict[str, Param]] = {
    "auth_401": {},
    "throttled_429": {"retry_after": -1},
    "lock_timeout": {},
    "error_500_before": {"saved": False},
    "drop_before_create": {},
    "html_502": {"created": False},
    "slow": {"seconds": 60.0, "created_first": False},
    "error_500_after": {},
    "drop_after_create": {},
    "garbage": {},
}
#: A read has no Idempotency-Key that could be in use, and makes nothing.
POSTS_ONLY: dict[str, dict[str, Param]] = {"in_use_409": {}}


def _name(point: str, kind: str) -> str:
    return kind if point == "session" else f"{point}_{kind}"


FAULTS = tuple(
    FaultKind(_name(point, kind), point, defaults)
    for point in (*POSTS, *READS)
    for kind, defaults in (ANYWHERE | (POSTS_ONLY if point in POSTS else {})).items()
)


def draw(faults: FaultBoard, point: str) -> Strike | None:
    """The fault of this request, by the name it has at every point."""
    strike = faults.draw(point, request.headers.get(HEADER))
    if strike is None:
        return None
    return replace(strike, name=strike.name.removeprefix(f"{point}_"))


def suffer(strike: Strike | None, execute: Callable[[], Response]) -> Response:
    """Answer as the strike says. Refusals of the door come before anything is executed."""
    match strike.name if strike else "":
        case "auth_401":
            raise wrong_key("sk_test_")
        case "throttled_429" if strike:
            message = "Too many requests hit the API too quickly."
            wait = throttle_seconds(strike)
            raise Refused(429, message, code="rate_limit", retry_after=wait)
        case "lock_timeout":
            message = "This object cannot be accessed right now; another request has it."
            raise Refused(429, message, code="lock_timeout")
        case "in_use_409":
            raise in_use()
        case "error_500_before" if strike and strike.flag("saved"):
            return execute()
    return play(strike, execute, broken=broken)


def is_saved_500(strike: Strike | None) -> bool:
    """Begun and broken: the 500 is what its Idempotency-Key gives from now on."""
    if strike is None:
        return False
    return strike.name == "error_500_after" or is_empty_500(strike)


def is_empty_500(strike: Strike | None) -> bool:
    """Begun and broken before anything was made."""
    return strike is not None and strike.name == "error_500_before" and strike.flag("saved")


def in_use() -> Refused:
    message = "There is currently another in-progress request using this Idempotent Key."
    return Refused(409, message, code="idempotency_key_in_use", kind="idempotency_error")
