"""Stripe's door: its key, the count of calls, and one error body for every refusal."""

from typing import Any

from flask import Blueprint, Response, g, request

from ops.sandbox.marks import WRONG_SECRET
from ops.sandbox.store import Store
from ops.sandbox.stripe_objects import Facts, new_id
from ops.sandbox.wire import reply
from pipelines.vendor_settings import SANDBOX_ACCOUNT

NAME = "stripe"
#: What the sandbox speaks; the SDK of this repository asks for the same.
API_VERSION = "2026-10-28.endive"
KEY_HEADS = ("sk_test_", "rk_test_")


class Refused(Exception):
    """Stripe answers with an error body.

    `is_saved`: the call had begun, so that its refusal too is replayed under its Idempotency-Key.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        kind: str = "invalid_request_error",
        is_saved: bool = False,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.kind = kind
        self.is_saved = is_saved
        self.retry_after = retry_after


def guard(pages: Blueprint, store: Store) -> None:
    """Count each call, ask for the key, and write refusals the way Stripe does."""

    @pages.before_request
    def admit() -> None:
        g.request_id = new_id("request")
        path = str(request.url_rule).removeprefix(f"/{NAME}")
        endpoint = path.replace("<", "{").replace(">", "}")
        store.count_call(NAME, f"{request.method} {endpoint}")
        key = _key()
        if not key:
            raise Refused(401, "You did not provide an API key.")
        if key.endswith(WRONG_SECRET) or not (key == SANDBOX_ACCOUNT or key.startswith(KEY_HEADS)):
            raise wrong_key(key)

    @pages.after_request
    def name(answer: Response) -> Response:
        answer.headers["Request-Id"] = g.request_id
        answer.headers["Stripe-Version"] = request.headers.get("Stripe-Version", API_VERSION)
        if key := request.headers.get("Idempotency-Key"):
            answer.headers["Idempotency-Key"] = key
        return answer

    @pages.errorhandler(Refused)
    def refuse(error: Refused) -> Response:
        return refusal(error)

    @pages.route("/v1/<path:rest>", methods=["GET", "POST", "DELETE"])
    def refuse_unknown(rest: str) -> Response:
        raise Refused(404, f"Unrecognized request URL ({request.method}: /v1/{rest}).")


def refusal(error: Refused) -> Response:
    told: Facts = {"message": error.message, "type": error.kind}
    if error.code:
        told["code"] = error.code
        told["doc_url"] = f"https://stripe.com/docs/error-codes/{error.code.replace('_', '-')}"
    if error.param:
        told["param"] = error.param
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return reply({"error": told}, error.status, headers)


def broken() -> Response:
    """Stripe's own 500: whether the call was executed, it does not say."""
    message = "An unknown error occurred"
    return refusal(Refused(500, message, kind="api_error"))


def wrong_key(key: str) -> Refused:
    return Refused(401, f"Invalid API Key provided: {key[:8]}{'*' * 12}")


def missing(kind: str, identity: Any, param: str = "id") -> Refused:
    message = f"No such {kind}: '{identity}'"
    return Refused(404, message, code="resource_missing", param=param, is_saved=True)


def _key() -> str:
    """Sent as a bearer's token, or as the user of a login without a password."""
    signed = request.authorization
    if signed is None:
        return ""
    return (signed.token or "") if signed.type == "bearer" else (signed.username or "")
