"""Refuse forms that other sites send: same origin always, and the session's token once signed in."""

import hashlib
import hmac

from flask import request

from pipelines.access.console_sessions import ConsoleSession
from pipelines.errors import Kind, Refusal
from web.console.visit import find_visitor
from web.front import front

FIELD = "csrf_token"
SIGN_IN_ENDPOINT = "console.sign_in_now"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class ForeignForm(Refusal):
    """The form did not come from a page of this session."""

    code = "csrf"
    kind = Kind.FORBIDDEN
    detail = "The form is not from this session. Open the page again and repeat what you did."


def form_token(visitor: ConsoleSession) -> str:
    """What every form of this session carries."""
    message = b"console-form:" + visitor.id.bytes
    return hmac.new(front().house.settings.token_key, message, hashlib.sha256).hexdigest()


def refuse_foreign_forms() -> None:
    """Before a view: an unsafe method needs our origin and, once signed in, the form's token."""
    if request.method in SAFE_METHODS:
        return
    if not is_same_origin():
        raise ForeignForm
    visitor = find_visitor()
    # A sign-in form left open in another tab carries no session's token.
    if visitor is None or request.endpoint == SIGN_IN_ENDPOINT:
        return
    given = request.form.get(FIELD, "") or request.headers.get("X-CSRF-Token", "")
    if not hmac.compare_digest(given.encode(), form_token(visitor).encode()):
        raise ForeignForm


def is_same_origin() -> bool:
    """Browsers say where a form comes from; who says nothing is not a browser's form."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    ours = {front().house.settings.public_url, request.host_url.rstrip("/")}
    return request.headers.get("Origin") in ours
