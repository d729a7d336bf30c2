"""Refusals and faults as pages: what happened, what to do, and the request id for support."""

from collections.abc import Mapping

from flask import Response, request, url_for

from pipelines.access.proofs import SecondFactorMissing, StepUpRequired
from web.console.frame import go, page
from web.console.step_up import step_up_address
from web.errors import Problem

#: Titles in plain words; everything else takes the phrase of its status.
TITLES: Mapping[int, str] = {
    400: "This request cannot be read",
    403: "You cannot do this",
    404: "There is nothing here",
    405: "This address does not work that way",
    409: "Something changed in the meantime",
    413: "The file is too large",
    429: "Too many tries",
    500: "Something went wrong on our side",
    503: "The service is busy",
}


def error_page(problem: Problem) -> Response:
    """The problem as a page; strangers are sent to sign in and come back afterwards."""
    if problem.status == 401:
        return _to_sign_in()
    if problem.code == StepUpRequired.code:
        return go(step_up_address())
    if problem.code == SecondFactorMissing.code:
        return go(url_for("console.second_factor"))
    response = page(
        "error.html",
        title=TITLES.get(problem.status, problem.title),
        status=problem.status,
        problem=problem,
    )
    for name, value in problem.headers.items():
        if name != "WWW-Authenticate":
            response.headers[name] = value
    return response


def _to_sign_in() -> Response:
    asked = request.full_path.rstrip("?") if request.method == "GET" else None
    return go(url_for("console.sign_in", next=asked))
