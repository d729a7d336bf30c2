"""Giftbit's door: its key, its rate limit on demand, and one error body for every refusal."""

from typing import Any

from flask import Blueprint, Response, request

from ops.sandbox.marks import WRONG_SECRET
from ops.sandbox.store import Store
from ops.sandbox.wire import reply

NAME = "giftbit"
#: Giftbit's testbed throttles every call that says `true` here.
RATE_HEADER = "SIMULATE-RATELIMIT"


class Refused(Exception):
    """Giftbit answers with an error body: a code that never changes, a name and a message."""

    def __init__(
        self, status: int, code: str, message: str, *, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after


def guard(pages: Blueprint, store: Store) -> None:
    """Count each call, ask for the key, and write refusals the way Giftbit does."""

    @pages.before_request
    def admit() -> None:
        path = str(request.url_rule).removeprefix(f"/{NAME}")
        endpoint = path.replace("<", "{").replace(">", "}")
        store.count_call(NAME, f"{request.method} {endpoint}")
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or key in {"", WRONG_SECRET}:
            raise unauthorized()
        if request.headers.get(RATE_HEADER, "").lower() == "true":
            raise too_many()

    @pages.errorhandler(Refused)
    def refuse(error: Refused) -> Response:
        name = error.code.removeprefix("ERROR_").replace("_", " ").capitalize()
        told = {"code": error.code, "name": name, "message": error.message}
        headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
        return reply({"error": told, "status": error.status}, error.status, headers)


def unauthorized() -> Refused:
    return Refused(401, "ERROR_UNAUTHORIZED", "Access Token missing or invalid")


def too_many(retry_after: int | None = None) -> Refused:
    return Refused(429, "ERROR_RATE_LIMIT", "Too many requests", retry_after=retry_after)


def malformed(message: str) -> Refused:
    return Refused(400, "ERROR_BAD_REQUEST", message)


def info(code: str, name: str, message: str) -> dict[str, Any]:
    """What every answer of Giftbit begins with."""
    return {"code": code, "name": name, "message": message}
