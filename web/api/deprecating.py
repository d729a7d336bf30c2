"""Say in headers and in the document that a route is on its way out (docs/api-versions.md).

`Deprecation` is that of RFC 9745, `Sunset` that of RFC 8594. Answers of the view have them;
refusals have none, and are told by the document.
"""

import functools
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from email.utils import format_datetime
from typing import Any, TypeVar, cast

from flask import make_response

from web.api.routes import documented

View = TypeVar("View", bound=Callable[..., Any])
#: A route is served for at least so long after it was said to be on its way out.
NOTICE_DAYS_MIN = 365


def deprecated(*, since: date, ends: date, successor: str) -> Callable[[View], View]:
    """The route works as before until `ends`; `successor` is the path of what takes its place."""
    assert ends - since >= timedelta(days=NOTICE_DAYS_MIN), "callers were promised a year"
    headers = {
        "Deprecation": f"@{int(_midnight(since).timestamp())}",
        "Sunset": format_datetime(_midnight(ends), usegmt=True),
        "Link": f'<{successor}>; rel="successor-version"',
    }

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def told(*args: Any, **kwargs: Any) -> Any:
            response = make_response(view(*args, **kwargs))
            response.headers.extend(headers)
            return response

        return cast("View", documented(deprecated=True)(told))

    return decorate


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
