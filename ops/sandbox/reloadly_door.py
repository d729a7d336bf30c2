"""Reloadly's door: tokens, the count of calls, and one error body for every refusal."""

import secrets
import time
from datetime import UTC, datetime

from flask import Blueprint, Response, request

from ops.sandbox.marks import MARK, WRONG_SECRET
from ops.sandbox.store import Store
from ops.sandbox.wire import read_json, reply

NAME = "reloadly"


class Refused(Exception):
    """Reloadly answers with an error body; most of its refusals carry no code."""

    def __init__(
        self, status: int, message: str, code: str | None = None, *, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.retry_after = retry_after


def guard(pages: Blueprint, store: Store) -> None:
    """Count each call, ask for a token, and write refusals the way Reloadly does."""

    @pages.before_request
    def admit() -> None:
        path = str(request.url_rule).removeprefix(f"/{NAME}").replace("<int:", "<")
        endpoint = path.replace("<", "{").replace(">", "}")
        store.count_call(NAME, f"{request.method} {endpoint}")
        if not path.startswith("/auth/"):
            _check_token(store)

    @pages.errorhandler(Refused)
    def refuse(error: Refused) -> Response:
        body: dict[str, object] = {
            "timeStamp": timestamp(time.time()),
            "message": error.message,
            "path": request.path.removeprefix(f"/{NAME}"),
            "errorCode": error.code,
            "infoLink": None,
            "details": [],
        }
        headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
        return reply(body, error.status, headers)


def issue_token(store: Store, *, seconds: float) -> Response:
    """Take any client id and any secret but the wrong one."""
    try:
        asked = read_json(request.get_data())
    except ValueError:
        asked = None
    if not isinstance(asked, dict) or asked.get("grant_type") != "client_credentials":
        raise Refused(400, "Invalid input provided: grant_type", "INVALID_INPUT_PROVIDED")
    if not asked.get("client_id") or asked.get("client_secret") in {None, "", WRONG_SECRET}:
        raise Refused(401, "Access Denied", "INVALID_CREDENTIALS")
    if not str(asked.get("audience", "")).startswith(("http://", "https://")):
        raise Refused(400, "Invalid audience", "INVALID_AUDIENCE")
    token = f"{MARK}-{secrets.token_urlsafe(32)}"
    store.add_token(NAME, token, time.time() + seconds)
    granted = {"access_token": token, "scope": "send-giftcards read-giftcards"}
    return reply({**granted, "expires_in": int(seconds), "token_type": "Bearer"})


def timestamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S")


def invalid(name: str) -> Refused:
    return Refused(400, f"Invalid input provided: {name}", "INVALID_INPUT_PROVIDED")


def _check_token(store: Store) -> None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer" or not token:
        raise Refused(401, "Full authentication is required", "MISSING_TOKEN")
    expires_at = store.token_expiry(NAME, token)
    if expires_at is None:
        raise Refused(401, "The token is not valid", "INVALID_TOKEN")
    if expires_at <= time.time():
        raise Refused(401, "The token has expired", "TOKEN_EXPIRED")
