"""A form that another request works on already: its place says so, and claims nothing."""

from urllib.parse import urlencode

from flask import Response

from pipelines.errors import Refusal
from web.console.frame import AT_WORK, go
from web.errors import problem_of


def still_at_work(place: str) -> Response:
    """To the place that shows what the other request does, once it has done it."""
    joint = "&" if "?" in place else "?"
    return go(f"{place}{joint}{urlencode({AT_WORK: 1})}")


def told_when(answer: Response, refusal: Refusal) -> Response:
    """A page that says a refusal, with the time after which it is worth trying again."""
    answer.headers.update(problem_of(refusal).headers)
    return answer
