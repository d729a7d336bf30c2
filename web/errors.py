"""Turn refusals and faults into answers: problem+json for the API, a page for people."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, cast

from flask import Flask, Response, current_app, g, json, request
from psycopg import errors as pg
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from werkzeug.exceptions import HTTPException

from pipelines.errors import FieldError, Kind, Refusal
from pipelines.telemetry import get_logger
from web.guards import is_api

log = get_logger(__name__)

STATUS: Mapping[Kind, int] = {
    Kind.MALFORMED: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.PAYMENT: 402,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.GONE: 410,
    Kind.STALE: 412,
    Kind.TOO_LARGE: 413,
    Kind.MEDIA: 415,
    Kind.INVALID: 422,
    Kind.FROZEN: 423,
    Kind.UNCONDITIONAL: 428,
    Kind.THROTTLED: 429,
    Kind.BUSY: 503,
}
#: Our codes for what the web framework refuses by itself, with a remedy where there is one.
FRAMEWORK: Mapping[int, tuple[str, str]] = {
    400: ("malformed_request", "The request cannot be read."),
    404: ("not_found", "There is no such resource."),
    405: ("method_not_allowed", "This resource does not have this method; see Allow."),
    413: ("payload_too_large", "The body is larger than this route takes."),
    414: ("uri_too_long", "The address is too long."),
    415: ("unsupported_media_type", "This route does not take this content type."),
}
KEPT_HEADERS = ("Allow", "Retry-After", "WWW-Authenticate")
_BUSY = "The service is busy. Try again in a moment; nothing was changed."
_HELD = "Somebody else is working on this just now. Nothing was changed; try again in a moment."
#: Where the console leaves its error page: `(Problem) -> Response`.
ERROR_PAGES = "largesse.error_pages"


@dataclass(frozen=True, slots=True)
class Problem:
    """One refusal or fault as it is shown, whatever the medium."""

    status: int
    code: str
    detail: str
    errors: tuple[FieldError, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return HTTPStatus(self.status).phrase

    def as_json(self, *, instance: str, request_id: str) -> dict[str, Any]:
        body: dict[str, Any] = {
            "type": f"/problems/{self.code}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "instance": instance,
            "request_id": request_id,
        }
        if self.errors:
            body["errors"] = [error.as_json() for error in self.errors]
        return body | {name: value for name, value in self.extra.items() if name not in body}


def register_errors(app: Flask) -> None:
    app.register_error_handler(Refusal, _refused)
    app.register_error_handler(HTTPException, _refused_by_framework)
    app.register_error_handler(DBAPIError, _database_failed)
    app.register_error_handler(PoolExhausted, _database_busy)
    app.register_error_handler(Exception, _failed)


def problem_of(refusal: Refusal) -> Problem:
    """The problem of an expected refusal."""
    headers: dict[str, str] = {}
    if refusal.kind is Kind.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = 'Bearer realm="largesse"'
    if refusal.retry_after_seconds is not None:
        headers["Retry-After"] = str(refusal.retry_after_seconds)
    return Problem(
        STATUS[refusal.kind], refusal.code, refusal.detail, refusal.errors, refusal.extra, headers
    )


def answer(problem: Problem) -> Response:
    """The problem as this request's answer; metrics count its code."""
    g.problem_code = problem.code
    if not is_api():
        return _page(problem)
    rule = request.url_rule.rule if request.url_rule is not None else "/api"
    body = problem.as_json(instance=rule, request_id=g.get("request_id", ""))
    response = Response(json.dumps(body), problem.status, mimetype="application/problem+json")
    response.headers.extend(problem.headers)
    return response


def _page(problem: Problem) -> Response:
    pages = cast("Callable[[Problem], Response] | None", current_app.extensions.get(ERROR_PAGES))
    if pages is not None:
        return pages(problem)
    text = f"{problem.title}: {problem.detail}\n"
    response = Response(text, problem.status, mimetype="text/plain")
    response.headers.extend(problem.headers)
    return response


def _refused(refusal: Refusal) -> Response:
    return answer(problem_of(refusal))


def _refused_by_framework(error: HTTPException) -> Response:
    plain = cast("Response", error.get_response())
    if plain.status_code < 400:
        return plain
    code, detail = FRAMEWORK.get(
        plain.status_code, ("refused", HTTPStatus(plain.status_code).description)
    )
    kept = {name: plain.headers[name] for name in KEPT_HEADERS if name in plain.headers}
    return answer(Problem(plain.status_code, code, detail, headers=kept))


def _database_failed(error: DBAPIError) -> Response:
    """A lost connection leaves a write's outcome open: the same key finds out (EC-035)."""
    inner = type(error.orig).__name__ if error.orig is not None else type(error).__name__
    if isinstance(error.orig, pg.LockNotAvailable):
        log.warning("request.row_held", route=_route())
        return _busy(_HELD)
    log.error("request.database_failed", fault=inner, route=_route())
    if isinstance(error.orig, pg.DeadlockDetected | pg.QueryCanceled):
        return _busy()
    if not isinstance(error, OperationalError) and not error.connection_invalidated:
        return answer(_INTERNAL)
    if request.method in {"GET", "HEAD", "OPTIONS"}:
        return _busy()
    detail = (
        "The database did not answer, so the outcome is unknown. Repeat the request with the "
        "same Idempotency-Key: it happens at most once."
    )
    return answer(Problem(503, "outcome_unknown", detail, headers={"Retry-After": "2"}))


def _database_busy(_error: PoolExhausted) -> Response:
    return _busy()


def _busy(detail: str = _BUSY) -> Response:
    return answer(Problem(503, "busy", detail, headers={"Retry-After": "1"}))


def _failed(error: Exception) -> Response:
    log.error("request.failed", fault=type(error).__name__, route=_route())
    return answer(_INTERNAL)


def _route() -> str | None:
    return request.url_rule.rule if request.url_rule is not None else None


_INTERNAL = Problem(
    500, "internal_error", "Something went wrong on our side. Quote the request_id to support."
)
