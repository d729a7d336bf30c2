"""Play a customer who is told of events: `/receiver/<name>` takes them, and shows what it took."""

import base64
import threading
import time
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, request

from ops.sandbox.faults import FaultBoard, FaultKind, Strike
from ops.sandbox.wire import cut_connection, reply

FAULTS = (
    FaultKind("status", "receive", {"status": 500, "retry_after": 0}),
    FaultKind("redirect", "receive", {"to": "http://169.254.169.254/"}),
    FaultKind("slow", "receive", {"seconds": 60.0}),
    FaultKind("slow_body", "receive", {"seconds": 60.0}),
    FaultKind("huge_body", "receive", {"megabytes": 64}),
    FaultKind("drop", "receive"),
)
KEPT_MAX = 10_000


class Receiver:
    """Every call that came in, as it came, the oldest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: list[dict[str, Any]] = []

    def note(self, name: str, headers: dict[str, str], body: bytes) -> None:
        call = {
            "name": name,
            "headers": {key.lower(): value for key, value in headers.items()},
            "body": base64.b64encode(body).decode(),
            "at": time.time(),
        }
        with self._lock:
            self._calls = [*self._calls, call][-KEPT_MAX:]

    def calls(self, name: str | None) -> list[dict[str, Any]]:
        with self._lock:
            return [call for call in self._calls if name in (None, call["name"])]

    def clear(self) -> None:
        with self._lock:
            self._calls = []


def receiver_pages(receiver: Receiver, faults: FaultBoard) -> Blueprint:
    pages = Blueprint("receiver", __name__)

    @pages.post("/receiver/<name>")
    def receive(name: str) -> Response:
        receiver.note(name, dict(request.headers), request.get_data())
        strike = faults.draw("receive")
        return reply({"received": True}) if strike is None else _struck(strike)

    @pages.get("/control/receiver/calls")
    def list_calls() -> Response:
        return reply({"calls": receiver.calls(request.args.get("name"))})

    return pages


def _struck(strike: Strike) -> Response:
    match strike.name:
        case "status":
            wait = int(strike.number("retry_after"))
            headers = {"Retry-After": str(wait)} if wait else {}
            return reply({"error": "as told"}, int(strike.number("status")), headers)
        case "redirect":
            return reply({}, 302, {"Location": strike.text("to")})
        case "slow":
            time.sleep(strike.number("seconds"))
        case "slow_body":
            return Response(_trickle(strike.number("seconds")))
        case "huge_body":
            return Response(b"x" * 1024 * 1024 for _ in range(int(strike.number("megabytes"))))
        case "drop":
            cut_connection(request.environ)
    return reply({"received": True})


def _trickle(seconds: float) -> Iterator[bytes]:
    """A byte ten times a second: never silent, and never done."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        yield b"x"
        time.sleep(0.1)
