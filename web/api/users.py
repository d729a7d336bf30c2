"""The people of a tenant over HTTP: who they are, their role, and whether they may come in."""

from contextlib import AbstractContextManager
from functools import partial
from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, fields
from sqlalchemy import Row
from sqlalchemy.orm import Session

from models import clock
from models.database import ScopedSession, scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.access import manage_users, read_users
from pipelines.access.manage_users import UserChange
from pipelines.access.permissions import Permission
from pipelines.access.users import NewUser
from pipelines.queue.keys import once
from web.admission import canonical, mark_replay, offered_key
from web.api.routes import MAY_HAVE_KEY, Routes, answers, asks, documented, reads
from web.fields import EmailAddress, Flag, Identity, PageQuery, Secret, Text, one_of
from web.front import front
from web.guards import freshly_proven, permitted, principal
from web.pages import id_cursor, listed
from web.tenant_choice import place_of_new

routes = Routes("users", "The people of a tenant and those below it.")
#: A key is no person.
ROLES = [role.value for role in Role if role is not Role.STOREFRONT_KEY]

#: End users come with their claims and coupons.
MADE = [name for name in ROLES if name != Role.END_USER]


class User(Schema):
    id = fields.UUID()
    email = fields.String(
        allow_none=True,
        metadata={"description": "Null for who is known by a client's own id alone."},
    )
    name = fields.String()
    role = fields.String()
    agency_id = fields.UUID(allow_none=True)
    client_id = fields.UUID(allow_none=True)
    disabled = fields.Boolean()
    created_at = fields.DateTime()
    last_sign_in_at = fields.DateTime(allow_none=True)


class UserInFull(User):
    rests_until = fields.DateTime(
        allow_none=True,
        metadata={"description": "After too many wrong passwords: no sign-in before this time."},
    )


class UserPage(Schema):
    data = fields.List(fields.Nested(User))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


class NewUserBody(Schema):
    email = EmailAddress(required=True, longest=320)
    name = Text(longest=200, load_default="")
    role = fields.String(required=True, validate=one_of(*MADE))
    password = Secret(required=True, longest=1024)
    agency_id = Identity(load_default=None, allow_none=True)
    client_id = Identity(load_default=None, allow_none=True)


class UserBody(Schema):
    name = Text(longest=200)
    role = fields.String(validate=one_of(*ROLES))
    disabled = Flag()
    reason = Text(
        longest=200,
        metadata={"description": "Kept in the audit log; please no names or addresses."},
    )


class OwnBody(Schema):
    name = Text(required=True, longest=200)


class PeopleQuery(PageQuery):
    role = fields.String(load_default=None, validate=one_of(*ROLES))
    disabled = Flag(in_text=True, load_default=None)
    q = Text(
        longest=320,
        load_default="",
        metadata={"description": "Part of a name or an address. Not for end users."},
    )


class AddressQuery(Schema):
    email = EmailAddress(required=True, longest=320)


def shown(row: Row[Any]) -> dict[str, Any]:
    facts = dict(row._mapping)
    return facts | {"disabled": facts.pop("disabled_at") is not None}


@routes.get("/auth/admin/users")
@permitted(Permission.USERS_MANAGE)
@asks(PeopleQuery)
@answers(200, UserPage)
def list_users(query: dict[str, Any]) -> Response:
    """List the people of your tenant and below, newest first; end users with `role=end_user`."""
    limit, before = query["limit"], id_cursor(query)
    role = Role(query["role"]) if query["role"] else None
    wanted = read_users.Wanted(role, query["disabled"], query["q"])
    with _looking() as session:
        rows = read_users.list_users(session, wanted, before=before, limit=limit + 1)
    return listed(rows, limit=limit, view=shown, place=lambda row: row.id)


@routes.post("/users")
@permitted(Permission.USERS_MANAGE)
@reads(NewUserBody)
@documented(parameters=[MAY_HAVE_KEY])
@answers(201, UserInFull)
def create_user(body: dict[str, Any]) -> Response:
    """Make a person below you, in your tenant or one below; give them the password to change."""
    caller, role = freshly_proven(), Role(body["role"])
    # What is kept of a request is a fast hash, under which no password may stand.
    named = {name: value for name, value in body.items() if name != "password"}
    key = offered_key(caller, canonical(named))
    with _looking() as session:
        place = place_of_new(session, caller, role, body["agency_id"], body["client_id"])
        person = NewUser(body["email"], body["password"], role, body["name"], *place)
        make = partial(manage_users.make_user, session, caller, person)
        done = once(session, key, make, status=201, resource_kind="user")
        response = _answer(session, done.resource_id)
    response.status_code = 201
    return mark_replay(response, is_replay=done.is_replay)


@routes.get("/users/search/by-email")
@permitted(Permission.USERS_MANAGE)
@asks(AddressQuery)
@answers(200, UserInFull)
def find_user(query: dict[str, Any]) -> Response:
    """The person who has this address, if they are of your tenant or below, or known to it."""
    with _looking() as session:
        row = read_users.user_of_address(session, query["email"])
        if row.agency_id is None and principal().agency_id is not None:
            return jsonify(shown(row) | {"rests_until": None})  # a stranger's tries are theirs
        return _in_full(session, row)


@routes.get("/users/<uuid:user_id>")
@permitted(Permission.USERS_MANAGE)
@answers(200, UserInFull)
def get_user(user_id: UUID) -> Response:
    """One person, and until when they take no password."""
    with _looking() as session:
        return _answer(session, user_id)


@routes.patch("/users/<uuid:user_id>")
@permitted(Permission.USERS_MANAGE)
@reads(UserBody)
@answers(200, UserInFull)
def change_user(body: dict[str, Any], user_id: UUID) -> Response:
    """Change a person below you; who is disabled is signed out everywhere at once."""
    role = body.get("role")
    if role or body.get("disabled") is False:
        freshly_proven()
    change = UserChange(
        body.get("name"), Role(role) if role else None, body.get("disabled"), body.get("reason")
    )
    with _looking() as session:
        now = clock.now(session)
        manage_users.change_user(session, principal(), user_id, change, now=now)
        return _answer(session, user_id)


@routes.patch("/users/me")
@permitted(Permission.OWN_CREDENTIALS)
@reads(OwnBody)
@answers(200, User)
def change_own_name(body: dict[str, Any]) -> Response:
    """Change the name by which you are shown; role and place are changed by those above you."""
    caller = principal()
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        manage_users.change_own_name(session, caller, body["name"])
        return jsonify(shown(read_users.user_row(session, caller.actor_id)))


@routes.post("/users/<uuid:user_id>/allow-tries")
@permitted(Permission.USERS_MANAGE)
@answers(200, UserInFull)
def allow_tries(user_id: UUID) -> Response:
    """Let a person below you try passwords again, after too many wrong ones."""
    with _looking() as session:
        manage_users.allow_tries(session, principal(), user_id)
        return _answer(session, user_id)


def _looking() -> AbstractContextManager[ScopedSession]:
    """A transaction in the caller's own scope: people beyond it are not there."""
    return scoped_transaction(front().house.sessions, principal().scope)


def _answer(session: Session, user_id: UUID) -> Response:
    return _in_full(session, read_users.user_row(session, user_id))


def _in_full(session: Session, row: Row[Any]) -> Response:
    return jsonify(shown(row) | {"rests_until": read_users.rests_until(session, row.email)})
