"""Tango's door: Basic or Bearer credentials, one call in a second, one error body for refusals."""

import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, request

from ops.sandbox.marks import MARK, WRONG_SECRET
from ops.sandbox.store import Store
from ops.sandbox.wire import reply

NAME = "tango"
TOKEN_SECONDS = 24 * 3600.0
#: One token is granted in this time; who asks for a second is told so.
TOKEN_EVERY_SECONDS = 20 * 3600.0


class Refused(Exception):
    """Tango answers with its error body; `key` is what tells its refusals apart.

    `fields` are the faults of single fields, path and key; they come under a general key.
    """

    def __init__(
        self,
        status: int,
        key: str,
        message: str,
        *,
        fields: Sequence[tuple[str, str]] = (),
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.key = key
        self.message = message
        self.fields = fields
        self.retry_after = retry_after


class Pace:
    """Calls in a second; the next comes too early until its moment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next_at = 0.0

    def take(self, calls_per_second: float) -> bool:
        """Whether a call may pass now; none is ever too early at a rate of 0."""
        if calls_per_second <= 0:
            return True
        now = time.monotonic()
        with self._lock:
            if now < self._next_at:
                return False
            self._next_at = now + 1 / calls_per_second
            return True


def admit(store: Store) -> None:
    """Ask a product call for credentials."""
    signed = request.authorization
    if signed is not None and signed.type == "bearer":
        is_good = (store.token_expiry(NAME, signed.token or "") or 0) > time.time()
    else:
        is_good = bool(signed and signed.username and signed.password)
        is_good = is_good and signed is not None and signed.password != WRONG_SECRET
    if not is_good:
        raise Refused(401, "401.001", "Credentials are required")


def endpoint(rule: str) -> str:
    return rule.removeprefix(f"/{NAME}").replace("<", "{").replace(">", "}")


def refusals(pages: Blueprint) -> None:
    """Write refusals the way Tango does."""

    @pages.errorhandler(Refused)
    def refuse(error: Refused) -> Response:
        headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
        return reply(error_body(error), error.status, headers)


def error_body(error: Refused) -> dict[str, Any]:
    return {
        "timestamp": iso(time.time()),
        "requestId": secrets.token_hex(8),
        "path": request.path.removeprefix(f"/{NAME}"),
        "httpCode": error.status,
        "httpPhrase": HTTPStatus(error.status).phrase,
        "message": error.message,
        "i18nKey": error.key,
        "i18nTokenReplacements": [],
        "errors": [
            {"path": path, "i18nKey": key, "message": "", "invalidValue": None, "constraint": None}
            for path, key in error.fields
        ],
    }


def issue_token(store: Store) -> Response:
    """Grant a token for a day, to any client whose secret is not the wrong one; one at a time."""
    asked: Mapping[str, str] = request.form
    if asked.get("grant_type") != "client_credentials" or not asked.get("client_id"):
        return reply({"error": "invalid_request"}, 400)
    if asked.get("client_secret") in {None, "", WRONG_SECRET}:
        return reply({"error": "access_denied"}, 401)
    if store.newest_token(NAME) + TOKEN_EVERY_SECONDS > time.time() + TOKEN_SECONDS:
        said = "The client has exceeded the daily rate limit"
        return reply({"error": "invalid_request", "error_description": said}, 400)
    token = f"{MARK}-{secrets.token_urlsafe(32)}"
    store.add_token(NAME, token, time.time() + TOKEN_SECONDS)
    granted = {"access_token": token, "scope": "raas.all", "token_type": "Bearer"}
    return reply({**granted, "expires_in": int(TOKEN_SECONDS)})


def iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
