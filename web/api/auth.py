"""Sign in with a password, exchange refresh tokens, sign out, and say who is asking."""

from dataclasses import asdict
from typing import Any

from flask import Response, g, jsonify, request
from marshmallow import Schema, fields

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.access.authenticate import InvalidCredentials, authenticate
from pipelines.access.change_password import change_password
from pipelines.access.permissions import GRANTS, Permission
from pipelines.access.sign_ins import Opened, SignInKind, end_sign_in, holder, open_sign_in, rotate
from pipelines.access.tokens import AccessClaims, issue_access_token
from pipelines.access.users import person
from pipelines.errors import Kind, Refusal
from pipelines.settings import Environment
from web.admission import sign_in_throttle
from web.api.routes import Routes, answers, reads
from web.fields import Secret
from web.front import front
from web.guards import permitted, principal, public

routes = Routes("auth", "Signing in and out.")
#: A demo is shown for a day without signing in again.
DEMO_TOKEN_SECONDS = 24 * 3600


class InvalidRefresh(Refusal):
    """The refresh token is unknown, spent, expired or ended."""

    code = "invalid_token"
    kind = Kind.UNAUTHENTICATED
    detail = "The refresh token is not valid. Sign in again."


class LoginBody(Schema):
    email = Secret(required=True, longest=320)
    password = Secret(required=True, longest=1024)
    totp = Secret(load_default=None, longest=16, allow_none=True)


class RefreshBody(Schema):
    refresh_token = Secret(required=True, longest=256)


class PasswordBody(Schema):
    current_password = Secret(required=True, longest=1024)
    new_password = Secret(required=True, longest=1024)


class Tokens(Schema):
    access_token = fields.String()
    refresh_token = fields.String()
    token_type = fields.String()
    expires_in = fields.Integer()


class Me(Schema):
    id = fields.UUID()
    email = fields.String()
    name = fields.String()
    role = fields.String()
    agency_id = fields.UUID()
    client_id = fields.UUID()
    permissions = fields.List(fields.String())


@routes.post("/auth/login")
@public
@reads(LoginBody)
@answers(200, Tokens)
def login(body: dict[str, Any]) -> Response:
    """Sign in with e-mail and password.

    Ten wrong passwords in a row let the address rest, for 15 minutes and then longer each time.
    """
    sessions = front().house.sessions
    throttle = sign_in_throttle()
    throttle.admit(body["email"], request.remote_addr or "")
    user_id = authenticate(sessions, body["email"], body["password"])
    throttle.forgive(body["email"])
    seconds = front().house.limits.refresh_token_seconds
    with scoped_transaction(sessions, SYSTEM) as session:
        now = clock.now(session)
        opened = open_sign_in(session, user_id, SignInKind.REFRESH, seconds=seconds, now=now)
    return _tokens(opened)


@routes.post("/auth/refresh")
@public
@reads(RefreshBody)
@answers(200, Tokens)
def refresh(body: dict[str, Any]) -> Response:
    """Exchange a refresh token for new tokens; the old one is spent."""
    house = front().house
    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = clock.now(session)
        seconds = house.limits.refresh_token_seconds
        opened = rotate(session, body["refresh_token"], seconds=seconds, now=now)
    if opened is None:
        raise InvalidRefresh
    return _tokens(opened)


@routes.post("/auth/logout")
@permitted(Permission.OWN_ACCOUNT)
@answers(204)
def logout() -> Response:
    """End this sign-in: its access and refresh tokens are dead at once."""
    caller = principal()
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        now = clock.now(session)
        end_sign_in(session, g.sign_in_id, user_id=caller.actor_id, now=now)
    return Response(status=204)


@routes.post("/auth/password")
@permitted(Permission.OWN_ACCOUNT)
@reads(PasswordBody)
@answers(204)
def change_own_password(body: dict[str, Any]) -> Response:
    """Change your password; you stay signed in here, and nowhere else."""
    change_password(
        front().house.sessions,
        principal().actor_id,
        current=body["current_password"],
        chosen=body["new_password"],
        keep=g.sign_in_id,
    )
    return Response(status=204)


@routes.get("/auth/me")
@permitted(Permission.OWN_ACCOUNT)
@answers(200, Me)
def me() -> Response:
    """Who is signed in, and what the role allows."""
    caller = principal()
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        found = person(session, caller)
    assert found is not None, "a sign-in has a user"
    return jsonify(asdict(found) | {"permissions": sorted(GRANTS[caller.role])})


def _tokens(opened: Opened) -> Response:
    house = front().house
    is_demo = house.settings.environment is Environment.DEMO
    seconds = DEMO_TOKEN_SECONDS if is_demo else house.limits.access_token_seconds
    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = clock.now(session)
        caller = holder(session, opened.sign_in_id, opened.user_id, SignInKind.REFRESH, now=now)
    if caller is None:
        raise InvalidCredentials
    token = issue_access_token(
        AccessClaims(opened.user_id, opened.sign_in_id),
        role=caller.role.value,
        key=house.settings.token_key,
        now=now,
        seconds=seconds,
    )
    return jsonify(
        {
            "access_token": token,
            "refresh_token": opened.token,
            "token_type": "Bearer",
            "expires_in": seconds,
        }
    )
