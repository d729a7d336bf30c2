"""Every route that documents a JSON body, and how a body is sent to it."""

import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from tests.web.conftest import Caller

BASE = "/api/v1"
PLACEHOLDER = "00000000-0000-7000-8000-000000000000"
UNREAD = {
    # Takes CSV only.
    "import_gift_cards",
    # Takes what Stripe signed, byte for byte.
    "take_stripe_event",
}


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
    admin: Caller,
    method: str,
    path: str,
    raw: bytes,
    content_type: str | None = "application/json",
    headers: Mapping[str, str] | None = None,
) -> TestResponse:
    given = admin.headers | {"Idempotency-Key": secrets.token_hex(8)} | dict(headers or {})
    return admin.client.open(
        filled(path), method=method, data=raw, headers=given, content_type=content_type
    )


def every(
    admin: Caller, routes: list[tuple[str, str, dict[str, Any]]], raw: bytes, **more: Any
) -> Iterator[TestResponse]:
    for method, path, _schema in routes:
        yield send(admin, method, path, raw, **more)
