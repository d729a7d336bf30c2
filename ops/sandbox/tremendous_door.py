"""Tremendous' door: its key, the count of calls, and one error body for every refusal."""

from typing import Any

from flask import Blueprint, Response, request

from ops.sandbox.marks import WRONG_SECRET
from ops.sandbox.store import Store
from ops.sandbox.wire import reply

NAME = "tremendous"


class Refused(Exception):
    """Tremendous answers with an error body; `payload` mirrors what it minds of the request."""

    def __init__(
        self,
        status: int,
        message: str,
        payload: Any = None,
        *,
        retry_after: int | None = None,
        is_plain: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.payload = payload
        self.retry_after = retry_after
        self.is_plain = is_plain


def guard(pages: Blueprint, store: Store) -> None:
    """Count each call, ask for the key, and write refusals the way Tremendous does."""

    @pages.before_request
    def admit() -> None:
        path = str(request.url_rule).removeprefix(f"/{NAME}")
        endpoint = path.replace("<", "{").replace(">", "}")
        store.count_call(NAME, f"{request.method} {endpoint}")
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or key in {"", WRONG_SECRET}:
            raise Refused(401, "Unauthorized access. Make sure to authenticate with an API key")

    @pages.errorhandler(Refused)
    def refuse(error: Refused) -> Response:
        headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
        return reply(error_body(error), error.status, headers)


def error_body(error: Refused) -> dict[str, Any]:
    """`errors` with message and payload; a few refusals say `error` and a text instead."""
    if error.is_plain:
        return {"status": error.status, "error": error.message}
    return {"errors": {"message": error.message, "payload": error.payload or {}}}


def invalid(message: str, **payload: Any) -> Refused:
    return Refused(400, message, payload)
