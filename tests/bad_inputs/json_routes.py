"""Every route that documents a JSON body, and how a body is sent to it."""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.partnering import Partner, opened
from tests.web.conftest import Caller

BASE = "/api/v1"
PLACEHOLDER = "00000000-0000-7000-8000-000000000000"
UNREAD = {
    # Takes CSV only.
    "import_gift_cards",
    # Takes what Stripe signed, byte for byte.
    "take_stripe_event",
}
#: More than enough for all that a module asks of them within a minute.
VISITS = 40
#: For whoever a partner's token let in; no other credential is looked at.
VISITED = {f"{BASE}/claims"}


@dataclass(frozen=True)
class Asker:
    """Whoever may ask: the highest role there is, and where that is nobody, a user of the partner."""

    admin: Caller
    #: Bearers of visits; each is counted by itself, so that they take turns.
    visits: Iterator[str]

    @property
    def client(self) -> FlaskClient:
        return self.admin.client

    def headers(self, path: str) -> dict[str, str]:
        if path not in VISITED:
            return self.admin.headers
        return {"Authorization": f"Bearer {next(self.visits)}"}


def asker_of(admin: Caller, partner: Partner) -> Asker:
    """With visits that are open before anything is asked, and leave nothing behind while it is."""
    return Asker(admin, cycle([opened(partner, partner.token()).token for _ in range(VISITS)]))


def json_routes(app: Flask) -> list[tuple[str, str, dict[str, Any]]]:
    """(method, path, schema) of every route that documents a JSON body."""
    document = app.test_client().get(f"{BASE}/openapi.json").json
    found = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if not isinstance(operation, dict) or operation.get("operationId") in UNREAD:
                continue
            content = operation.get("requestBody", {}).get("content", {})
            if "application/json" in content:
                schema = content["application/json"]["schema"]
                named = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
                found.append((method.upper(), path, named))
    return found


def filled(path: str) -> str:
    """The path of a documented route with an id that nobody has."""
    return "/".join(PLACEHOLDER if part.startswith("{") else part for part in path.split("/"))


def send(
    asker: Asker,
    method: str,
    path: str,
    raw: bytes,
    content_type: str | None = "application/json",
    headers: Mapping[str, str] | None = None,
) -> TestResponse:
    given = asker.headers(path) | {"Idempotency-Key": secrets.token_hex(8)} | dict(headers or {})
    return asker.client.open(
        filled(path), method=method, data=raw, headers=given, content_type=content_type
    )


def every(
    asker: Asker, routes: list[tuple[str, str, dict[str, Any]]], raw: bytes, **more: Any
) -> Iterator[TestResponse]:
    for method, path, _schema in routes:
        yield send(asker, method, path, raw, **more)
