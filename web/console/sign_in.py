"""Sign in with e-mail and password, then a code where there is one; return to the page asked for."""

from datetime import datetime
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy.orm import Session

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.access.authenticate import (
    AccountRests,
    InvalidCredentials,
    check_password,
    let_try_again,
    prove_by_code,
    still_proven,
)
from pipelines.access.console_sessions import close_session, open_halfway, open_session
from pipelines.access.permissions import Permission
from pipelines.access.rate_policies import Policy
from pipelines.access.users import Credentials, has_platform_admin
from pipelines.errors import Refusal
from web.console.frame import go, page
from web.console.visit import (
    cookie_name,
    end_visit,
    find_visitor,
    halfway_visitor,
    hand_cookie,
    look_cookie_name,
    take_cookie,
)
from web.devices import this_device
from web.front import front
from web.guards import permitted, public
from web.humans import humans_only, is_doubtful, note_failure, widget
from web.rate_limits import RateLimited, forgive, limited

EMAIL_CHARACTERS_MAX = 320
PASSWORD_CHARACTERS_MAX = 1024
CODE_CHARACTERS_MAX = 64
#: One answer for unknown, disabled and wrong alike.
WRONG = "The e-mail and password do not match. Check both and try again."
WRONG_CODE = "The code is not right, or was used already. Wait for the next one and type that."


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/sign-in", "sign_in", show, methods=["GET"])
    console.add_url_rule("/sign-in", "sign_in_now", enter, methods=["POST"])
    console.add_url_rule("/sign-in/code", "sign_in_code", show_code, methods=["GET"])
    console.add_url_rule("/sign-in/code", "sign_in_code_now", enter_code, methods=["POST"])
    console.add_url_rule("/sign-out", "sign_out", leave, methods=["POST"])


@public
def show() -> Response:
    """The form; who is signed in already goes on."""
    if find_visitor() is not None:
        return go(asked_page())
    return _form()


def _typed_email() -> str:
    return request.form.get("email", "")[:EMAIL_CHARACTERS_MAX].replace("\x00", "")


def _is_doubtful() -> bool:
    return is_doubtful(_typed_email())


def _ask_human(refusal: Refusal) -> Response:
    return _form(_typed_email(), refusal.detail, status=403)


def _too_often(refusal: RateLimited) -> Response:
    return _later(_form(_typed_email(), refusal.detail, status=429), refusal.retry_after_seconds)


@public
@limited(Policy.LOGIN, account=_typed_email, otherwise=_too_often)
@humans_only(Policy.LOGIN, account=_typed_email, when=_is_doubtful, otherwise=_ask_human)
def enter() -> Response:
    """Check the pair; every success is a new session, so an old cookie is worth nothing."""
    email = _typed_email()
    password = request.form.get("password", "")[:PASSWORD_CHARACTERS_MAX]
    try:
        person = check_password(front().house.sessions, email, password)
    except InvalidCredentials:
        note_failure(email)
        return _form(email, WRONG, status=422)
    except AccountRests as refusal:
        return _later(_form(email, refusal.detail, status=429), refusal.retry_after_seconds)
    for policy in (Policy.LOGIN, Policy.DOUBT):
        forgive(policy, account=email)
    if person.has_second_factor:
        response = go(url_for("console.sign_in_code", next=request.form.get("next") or None))
        hand_cookie(response, _halfway(person))
        return response
    return _let_in(person.user_id, person)


@public
def show_code() -> Response:
    """The form for the code; who owes none begins at the password."""
    return _code_form() if halfway_visitor() is not None else go(url_for("console.sign_in"))


@public
@limited(Policy.CODE)
def enter_code() -> Response:
    """Check the code; the session that begins has a token of its own."""
    user_id = halfway_visitor()
    if user_id is None:
        return go(url_for("console.sign_in"))
    house = front().house
    code = request.form.get("code", "")[:CODE_CHARACTERS_MAX]
    try:
        is_proven = prove_by_code(
            house.sessions, house.settings.keyring, user_id, code, at_door=True
        )
    except AccountRests as refusal:
        return _later(_code_form(refusal.detail, status=429), refusal.retry_after_seconds)
    return _let_in(user_id) if is_proven else _code_form(WRONG_CODE, status=422)


@permitted(Permission.OWN_ACCOUNT, before_enrolment=True)
def leave() -> Response:
    response = go(url_for("console.sign_in", left="1"))
    end_visit(response)
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


def _let_in(user_id: UUID, person: Credentials | None = None) -> Response:
    """Begin the session; what this browser held before is ended with it."""
    house = front().house
    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = clock.now(session)
        was_open = _close_what_was(session, now)
        # In between the password may have been reset, which ends what was halfway in.
        if not (still_proven(session, person) if person is not None else was_open):
            return _form(status=422, wrong=WRONG)
        if person is not None:
            let_try_again(session, person.email)
        token = open_session(session, user_id, now=now, limits=house.limits, device=this_device())
    response = go(asked_page())
    hand_cookie(response, token)
    take_cookie(response, look_cookie_name())
    return response


def _close_what_was(session: Session, now: datetime) -> bool:
    """End what this browser held before, and whom it looked as."""
    close_session(session, request.cookies.get(look_cookie_name(), ""), now=now)
    return close_session(session, request.cookies.get(cookie_name(), ""), now=now)


def _halfway(person: Credentials) -> str:
    house = front().house
    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = clock.now(session)
        _close_what_was(session, now)
        return open_halfway(
            session, person.user_id, now=now, limits=house.limits, device=this_device()
        )


def _form(email: str = "", wrong: str | None = None, *, status: int = 200) -> Response:
    return page(
        "sign_in.html",
        title="Sign in",
        status=status,
        email=email,
        wrong=wrong,
        widget=widget() if is_doubtful(email) else None,
        has_left="left" in request.args,
        asked=request.values.get("next", ""),
        needs_admin=status == 200 and not _has_admin(),
    )


def _has_admin() -> bool:
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        return has_platform_admin(session)


def _code_form(wrong: str | None = None, *, status: int = 200) -> Response:
    asked = request.values.get("next", "")
    return page("sign_in_code.html", title="Your code", status=status, wrong=wrong, asked=asked)


def _later(response: Response, seconds: int | None) -> Response:
    response.headers["Retry-After"] = str(seconds)
    return response


def asked_page() -> str:
    """The page asked for, if it is one of ours: an address elsewhere is ignored."""
    asked = request.values.get("next", "")
    is_ours = asked.startswith("/console/") and "\\" not in asked and asked.isprintable()
    return asked if is_ours else url_for("console.overview")
