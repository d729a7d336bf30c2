"""Sign in with e-mail and password, return to the page asked for, and sign out."""

from flask import Blueprint, Response, request, url_for

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.access.authenticate import AccountRests, InvalidCredentials, authenticate
from pipelines.access.console_sessions import open_session
from pipelines.access.permissions import Permission
from web.admission import TooManyTries, sign_in_throttle
from web.console.frame import go, page
from web.console.visit import end_visit, find_visitor, hand_cookie
from web.front import front
from web.guards import permitted, public

EMAIL_CHARACTERS_MAX = 320
PASSWORD_CHARACTERS_MAX = 1024
#: One answer for unknown, disabled and wrong alike.
WRONG = "The e-mail and password do not match. Check both and try again."


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/sign-in", "sign_in", show, methods=["GET"])
    console.add_url_rule("/sign-in", "sign_in_now", enter, methods=["POST"])
    console.add_url_rule("/sign-out", "sign_out", leave, methods=["POST"])


@public
def show() -> Response:
    """The form; who is signed in already goes on."""
    if find_visitor() is not None:
        return go(_asked())
    return _form()


@public
def enter() -> Response:
    """Check the pair; every success is a new session, so an old cookie is worth nothing."""
    email = request.form.get("email", "")[:EMAIL_CHARACTERS_MAX]
    password = request.form.get("password", "")[:PASSWORD_CHARACTERS_MAX]
    throttle = sign_in_throttle()
    try:
        throttle.admit(email, request.remote_addr or "")
    except TooManyTries as refusal:
        response = _form(email, "Too many tries. Wait a minute, then try again.", status=429)
        response.headers["Retry-After"] = str(refusal.retry_after_seconds)
        return response
    try:
        token = _token_for(email, password)
    except InvalidCredentials:
        return _form(email, WRONG, status=422)
    except AccountRests as refusal:
        response = _form(email, refusal.detail, status=429)
        response.headers["Retry-After"] = str(refusal.retry_after_seconds)
        return response
    throttle.forgive(email)
    response = go(_asked())
    hand_cookie(response, token)
    return response


@permitted(Permission.OWN_ACCOUNT)
def leave() -> Response:
    response = go(url_for("console.sign_in", left="1"))
    end_visit(response)
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


def _token_for(email: str, password: str) -> str:
    house = front().house
    user_id = authenticate(house.sessions, email, password)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return open_session(session, user_id, now=clock.now(session), limits=house.limits)


def _form(email: str = "", wrong: str | None = None, *, status: int = 200) -> Response:
    return page(
        "sign_in.html",
        title="Sign in",
        status=status,
        email=email,
        wrong=wrong,
        has_left="left" in request.args,
        asked=request.values.get("next", ""),
    )


def _asked() -> str:
    """The page asked for, if it is one of ours: an address elsewhere is ignored."""
    asked = request.values.get("next", "")
    is_ours = asked.startswith("/console/") and "\\" not in asked and asked.isprintable()
    return asked if is_ours else url_for("console.overview")
