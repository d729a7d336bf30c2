"""The pages behind mailed links: a forgotten password, an invitation, a proven address.

Opening a page uses no link, for scanners and previews open links too; the button does.
"""

from collections.abc import Callable

from flask import Blueprint, Response, request, url_for

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.access.change_password import WrongPassword
from pipelines.access.invitations import InvalidInvitation, accept, is_invitation
from pipelines.access.password_resets import (
    InvalidResetToken,
    ask_for_reset,
    is_reset,
    reset_password,
)
from pipelines.access.rate_policies import Policy
from pipelines.access.registration import (
    InvalidRegistrationToken,
    confirm_registration,
    is_registration,
)
from pipelines.access.users import EmailTaken
from pipelines.errors import Refusal, ValidationFailed
from web.console.frame import page
from web.front import front
from web.guards import public
from web.humans import humans_only, widget
from web.rate_limits import RateLimited, limited

EMAIL_CHARACTERS_MAX = 320
PASSWORD_CHARACTERS_MAX = 1024
TOKEN_CHARACTERS_MAX = 64

ADDRESS_NEEDED = "Type the e-mail address of your account."
UNEQUAL = "The two passwords are not the same. Type the new one twice."


def add_pages(console: Blueprint) -> None:
    for path, endpoint, show, act in (
        ("/forgot", "forgot", show_forgot, ask),
        ("/reset/<token>", "reset", show_reset, choose),
        ("/register/<token>", "confirm_address", show_registration, confirm),
        ("/invitation/<token>", "invitation", show_invitation, take),
    ):
        console.add_url_rule(path, endpoint, show, methods=["GET"])
        console.add_url_rule(path, f"{endpoint}_now", act, methods=["POST"])


@public
def show_forgot() -> Response:
    return _forgot()


def _typed_email() -> str:
    return request.form.get("email", "")[:EMAIL_CHARACTERS_MAX].replace("\x00", "")


def _too_often(refusal: RateLimited) -> Response:
    response = _forgot(_typed_email(), wrong=refusal.detail, status=429)
    response.headers["Retry-After"] = str(refusal.retry_after_seconds)
    return response


def _ask_human(refusal: Refusal) -> Response:
    return _forgot(_typed_email(), wrong=refusal.detail, status=403)


@public
@limited(Policy.RESET, account=_typed_email, otherwise=_too_often)
@humans_only(Policy.RESET, account=_typed_email, otherwise=_ask_human)
def ask() -> Response:
    """The same page for every address, whether or not anybody has it."""
    email = _typed_email()
    if not email.strip():
        return _forgot(wrong=ADDRESS_NEEDED, status=422)
    house = front().house
    ask_for_reset(house.sessions, email, keyring=house.settings.keyring)
    return _done(
        "Look into your mailbox",
        "If an account has this address, a mail with a link is on its way. The link works once, within an hour.",
    )


@public
def show_reset(token: str) -> Response:
    return _choose("Choose a new password") if _works(is_reset, token) else _dead(InvalidResetToken)


@public
@limited(Policy.SESSION)
def choose(token: str) -> Response:
    title = "Choose a new password"
    chosen = _password()
    if chosen is None:
        return _choose(title, wrong=UNEQUAL)
    try:
        reset_password(front().house.sessions, _cut(token), chosen)
    except InvalidResetToken:
        return _dead(InvalidResetToken)
    except ValidationFailed as refusal:
        return _choose(title, wrong=refusal.errors[0].detail)
    return _done(
        "Your password is changed", "You were signed out everywhere. Sign in with the new password."
    )


@public
def show_registration(token: str) -> Response:
    if not _works(is_registration, token):
        return _dead(InvalidRegistrationToken)
    return _confirm()


@public
@limited(Policy.SESSION)
def confirm(token: str) -> Response:
    house = front().house
    try:
        confirm_registration(
            house.sessions,
            _cut(token),
            request.form.get("password", "")[:PASSWORD_CHARACTERS_MAX],
            keyring=house.settings.keyring,
        )
    except InvalidRegistrationToken:
        return _dead(InvalidRegistrationToken)
    except WrongPassword as refusal:
        return _confirm(wrong=refusal.detail)
    return _done(
        "Your address is confirmed", "Your account is ready. Sign in with the password you chose."
    )


@public
def show_invitation(token: str) -> Response:
    if not _works(is_invitation, token):
        return _dead(InvalidInvitation)
    return _choose("Accept the invitation")


@public
@limited(Policy.SESSION)
def take(token: str) -> Response:
    title, house = "Accept the invitation", front().house
    chosen = _password()
    if chosen is None:
        return _choose(title, wrong=UNEQUAL)
    try:
        accept(house.sessions, _cut(token), chosen, name=None, keyring=house.settings.keyring)
    except InvalidInvitation:
        return _dead(InvalidInvitation)
    except EmailTaken as refusal:
        return _choose(title, wrong=refusal.detail)
    except ValidationFailed as refusal:
        return _choose(title, wrong=refusal.errors[0].detail)
    return _done("You are in", "Your account is ready. Sign in with the password you chose.")


def _works(is_good: Callable[..., bool], token: str) -> bool:
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        return is_good(session, _cut(token), now=clock.now(session))


def _cut(token: str) -> str:
    """A longer text is no token; it is not hashed whole."""
    return token[:TOKEN_CHARACTERS_MAX]


def _password() -> str | None:
    """The new password, typed twice alike."""
    chosen = request.form.get("password", "")[:PASSWORD_CHARACTERS_MAX]
    again = request.form.get("again", "")[:PASSWORD_CHARACTERS_MAX]
    return chosen if chosen == again else None


def _forgot(email: str = "", *, wrong: str | None = None, status: int = 200) -> Response:
    return page(
        "link_forgot.html",
        title="Forgot your password",
        status=status,
        email=email,
        wrong=wrong,
        widget=widget(),
    )


def _choose(title: str, *, wrong: str | None = None) -> Response:
    return page("link_choose.html", title=title, status=422 if wrong else 200, wrong=wrong)


def _confirm(*, wrong: str | None = None) -> Response:
    title = "Confirm your address"
    return page("link_confirm.html", title=title, status=422 if wrong else 200, wrong=wrong)


def _done(title: str, words: str) -> Response:
    return page(
        "link_end.html",
        title=title,
        words=words,
        next=url_for("console.sign_in"),
        label="Go to sign in",
    )


def _dead(refusal: type[Refusal]) -> Response:
    return page(
        "link_end.html",
        title="This link does not work",
        status=404,
        words=refusal.detail,
        next=url_for("console.forgot")
        if refusal is InvalidResetToken
        else url_for("console.sign_in"),
        label="Ask for a new link" if refusal is InvalidResetToken else "Go to sign in",
    )
