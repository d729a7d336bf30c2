"""Who visits the console: the cookie, the session behind it, and looking in its scope."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast
from uuid import UUID

from flask import Response, g, request

from models import clock
from models.database import ScopedSession, scoped_transaction
from models.scope import SYSTEM
from pipelines.access.console_sessions import (
    ConsoleSession,
    close_session,
    halfway_user,
    session_of,
)
from pipelines.access.principals import Principal
from web.front import front
from web.guards import Unauthenticated, principal


def cookie_name() -> str:
    """Under TLS the prefix binds the cookie to this host; the demo on plain HTTP cannot have it."""
    return "__Host-largesse" if front().house.settings.secure_cookies else "largesse"


def find_visitor() -> ConsoleSession | None:
    """The session of this request's cookie, looked up once; None for a stranger."""
    if "visitor" not in g:
        g.visitor = _looked_up(request.cookies.get(look_cookie_name(), "")) or _looked_up(
            request.cookies.get(cookie_name(), "")
        )
    return cast("ConsoleSession | None", g.visitor)


def look_cookie_name() -> str:
    """The cookie in which somebody of the platform looks as another, beside their own."""
    return cookie_name() + "-look"


def visitor() -> ConsoleSession:
    """The signed-in visitor; raises `Unauthenticated` for a stranger."""
    found = find_visitor()
    if found is None:
        raise Unauthenticated
    return found


def authenticate() -> Principal | None:
    """The guards' question: who is this, judging by the cookie?"""
    found = find_visitor()
    return found.principal if found is not None else None


@contextmanager
def looking() -> Iterator[ScopedSession]:
    """A transaction in the visitor's own scope."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        yield session


def hand_cookie(response: Response, token: str, *, name: str | None = None) -> None:
    """Give the browser its session; it ends with the browser, or here."""
    response.set_cookie(
        name or cookie_name(),
        token,
        secure=front().house.settings.secure_cookies,
        httponly=True,
        samesite="Lax",
        path="/",
    )


def end_visit(response: Response) -> None:
    """End the session at once and take the cookie back."""
    house = front().house
    with scoped_transaction(house.sessions, SYSTEM) as session:
        for name in (cookie_name(), look_cookie_name()):
            close_session(session, request.cookies.get(name, ""), now=clock.now(session))
    for name in (cookie_name(), look_cookie_name()):
        take_cookie(response, name)


def take_cookie(response: Response, name: str) -> None:
    """Take a cookie back from the browser."""
    secure = front().house.settings.secure_cookies
    response.delete_cookie(name, path="/", secure=secure, httponly=True, samesite="Lax")


def halfway_visitor() -> UUID | None:
    """Whose password was right in this browser, while the code is still owed."""
    token = request.cookies.get(cookie_name(), "")
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        return halfway_user(session, token, now=clock.now(session))


def _looked_up(token: str) -> ConsoleSession | None:
    if not token:
        return None
    house = front().house
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return session_of(session, token, now=clock.now(session), limits=house.limits)
