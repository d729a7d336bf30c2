"""Let scripts of partners' sites read the widget's own routes, and no others (SEC-34, EC-114).

An origin that some partner lists may read an answer; whether it may act is asked of the partner whose
token or visit it is. Nothing is ever allowed to everybody, and cookies to nobody.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, g, request
from sqlalchemy.exc import SQLAlchemyError

from pipelines.access.rate_policies import Policy
from pipelines.partners.origins import OPAQUE
from pipelines.partners.public import is_listed
from web.front import front
from web.rate_limits import spend

View = TypeVar("View", bound=Callable[..., Any])
_MARK = "is_cross_origin"
ALLOWED_METHODS = "GET, POST"
ALLOWED_HEADERS = "Authorization, Content-Type, Idempotency-Key"
EXPOSED_HEADERS = "Idempotent-Replayed, Retry-After, X-Request-Id"
PREFLIGHT_SECONDS = 600


def cross_origin(view: View) -> View:
    """Mark a view whose answers partners' sites may read."""
    setattr(view, _MARK, True)
    return view


def register_cross_origin(app: Flask) -> None:
    """Answer preflights of such views, and say of each answer who may read it."""

    @app.before_request
    def answer_preflight() -> Response | None:
        if request.method != "OPTIONS" or not _is_open():
            return None
        # It asks the database, and anybody may send one.
        spend(Policy.WIDGET_PAGE)
        response = Response(status=204)
        if _may_read():
            response.headers["Access-Control-Allow-Methods"] = ALLOWED_METHODS
            response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
            response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)
        return response

    @app.after_request
    def tell(response: Response) -> Response:
        if not _is_open():
            return response
        response.vary.add("Origin")
        if _may_read():
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
            response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return response


def asking_origin() -> str | None:
    """The site whose page asks, as its browser says it; None where none does, or one of ours."""
    origin = request.headers.get("Origin")
    return None if origin is None or origin in _own_origins() else origin


def _is_open() -> bool:
    """Whether the route is one that partners' sites may use."""
    rule = request.url_rule
    if rule is None:
        return False
    return bool(getattr(current_app.view_functions[rule.endpoint], _MARK, False))


def _may_read() -> bool:
    """Asked once for a request; what cannot be asked is not allowed."""
    if "may_read" not in g:
        g.may_read = _is_some_partners(asking_origin())
    return cast("bool", g.may_read)


def _is_some_partners(origin: str | None) -> bool:
    if origin is None or origin == OPAQUE:
        return False
    try:
        return is_listed(front().house.sessions, origin)
    except SQLAlchemyError:
        return False


def _own_origins() -> tuple[str, str]:
    told = urlsplit(front().house.settings.public_url)
    return f"{told.scheme}://{told.netloc}", request.host_url.rstrip("/")
