"""Sign in with a password, exchange refresh tokens, sign out, and say who is asking."""

from dataclasses import asdict
from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, fields

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.access.authenticate import InvalidCredentials, authenticate, still_proven
from pipelines.access.change_password import change_password
from pipelines.access.impersonation import end_look
from pipelines.access.permissions import GRANTS, Permission
from pipelines.access.rate_policies import Policy
from pipelines.access.refresh_tokens import RefreshClaims, read_refresh_token, refresh_token
from pipelines.access.sign_ins import (
    REFUSED,
    SignInKind,
    end_sign_in,
    holder,
    open_sign_in,
    rotate,
)
from pipelines.access.tokens import AccessClaims, issue_access_token
from pipelines.access.users import person
from pipelines.errors import Kind, Refusal
from pipelines.telemetry import get_logger
from web.api.routes import Routes, answers, reads
from web.devices import this_device
from web.fields import Secret
from web.front import front
from web.guards import permitted, principal, public
from web.humans import humans_after_failures
from web.rate_limits import forgive, limited

log = get_logger(__name__)
routes = Routes("auth", "Signing in and out.")


class InvalidRefresh(Refusal):
    """The refresh token is unknown, used twice, expired or ended."""

    code = "invalid_token"
    kind = Kind.UNAUTHENTICATED
    detail = "The refresh token is not valid. Sign in again."


class LoginBody(Schema):
    email = Secret(required=True, longest=320)
    password = Secret(required=True, longest=1024)
    totp = Secret(load_default=None, longest=64, allow_none=True)


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
    agency_id = fields.UUID(allow_none=True)
    client_id = fields.UUID(allow_none=True)
    second_factor = fields.Boolean()
    seen_by = fields.UUID(
        allow_none=True, metadata={"description": "Who looks through this person's eyes."}
    )
    permissions = fields.List(fields.String())


@routes.post("/auth/login")
@public
@reads(LoginBody)
@limited(Policy.LOGIN, account=lambda body: body["email"])
@humans_after_failures(account=lambda body: body["email"])
@answers(200, Tokens)
def login(body: dict[str, Any]) -> Response:
    """Sign in with e-mail and password, and `totp` where the account has a second factor.

    Ten wrong tries in a row let the address rest, for 15 minutes and then longer each time.
    """
    house = front().house
    kept = authenticate(
        house.sessions,
        house.settings.keyring,
        body["email"],
        body["password"],
        code=body["totp"] or None,
    )
    for policy in (Policy.LOGIN, Policy.DOUBT):
        forgive(policy, account=body["email"])
    seconds = house.limits.refresh_token_seconds
    with scoped_transaction(house.sessions, SYSTEM) as session:
        if not still_proven(session, kept):
            raise InvalidCredentials
        identity = open_sign_in(
            session,
            kept.user_id,
            SignInKind.REFRESH,
            seconds=seconds,
            now=clock.now(session),
            device=this_device(),
        )
    return _tokens(RefreshClaims(identity, 0), kept.user_id)


@routes.post("/auth/refresh")
@public
@limited(Policy.SESSION)
@reads(RefreshBody)
@answers(200, Tokens)
def refresh(body: dict[str, Any]) -> Response:
    """Exchange a refresh token for new tokens; the old one is spent.

    Sent again within ten seconds it gets the same tokens once more, in case the answer was lost.
    After that it ends the sign-in: somebody else holds a copy.
    """
    house = front().house
    claims = read_refresh_token(body["refresh_token"], key=house.settings.token_key)
    rotated = REFUSED
    if claims is not None:
        with scoped_transaction(house.sessions, SYSTEM) as session:
            rotated = rotate(session, claims, limits=house.limits, now=clock.now(session))
    if rotated.was_reused:
        log.warning("sign_in.token_reused", user_id=str(rotated.user_id))
    if rotated.successor is None or rotated.user_id is None:
        raise InvalidRefresh
    return _tokens(rotated.successor, rotated.user_id)


@routes.post("/auth/logout")
@permitted(Permission.OWN_ACCOUNT, before_enrolment=True)
@answers(204)
def logout() -> Response:
    """End this sign-in: its access and refresh tokens are dead at once."""
    caller = principal()
    assert caller.sign_in_id is not None, "no key has an account of its own"
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        now = clock.now(session)
        if caller.acting_for is not None:
            end_look(session, caller, now=now)
        else:
            end_sign_in(session, caller.sign_in_id, user_id=caller.actor_id, now=now)
    return Response(status=204)


@routes.post("/auth/password")
@permitted(Permission.OWN_CREDENTIALS)
@reads(PasswordBody)
@answers(204)
def change_own_password(body: dict[str, Any]) -> Response:
    """Change your password; you stay signed in here, and nowhere else."""
    caller = principal()
    change_password(
        front().house.sessions,
        caller.actor_id,
        current=body["current_password"],
        chosen=body["new_password"],
        keep=caller.sign_in_id,
    )
    return Response(status=204)


@routes.get("/auth/me")
@permitted(Permission.OWN_ACCOUNT, before_enrolment=True)
@answers(200, Me)
def me() -> Response:
    """Who is signed in, and what the role allows."""
    caller = principal()
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        found = person(session, caller)
    assert found is not None, "a sign-in has a user"
    told = {
        "seen_by": caller.actor_id if caller.acting_for else None,
        "second_factor": caller.has_second_factor,
        "permissions": sorted(GRANTS[caller.role]),
    }
    return jsonify(asdict(found) | told)


def _tokens(claims: RefreshClaims, user_id: UUID) -> Response:
    house = front().house
    seconds, key = house.limits.access_token_seconds, house.settings.token_key
    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = clock.now(session)
        caller = holder(session, claims.sign_in_id, user_id, now=now)
    if caller is None:
        raise InvalidCredentials
    token = issue_access_token(
        AccessClaims(user_id, claims.sign_in_id),
        role=caller.role.value,
        key=key,
        now=now,
        seconds=seconds,
    )
    return jsonify(
        {
            "access_token": token,
            "refresh_token": refresh_token(claims, key=key),
            "token_type": "Bearer",
            "expires_in": seconds,
        }
    )
