"""The people of a tenant over HTTP: who they are, their role, and whether they may come in."""

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, ValidationError, fields
from sqlalchemy import Row
from sqlalchemy.orm import Session

from models import clock
from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.access import manage_users
from pipelines.access.api_keys import client_for_key
from pipelines.access.manage_users import UserChange
from pipelines.access.permissions import Permission
from pipelines.access.principals import Principal
from pipelines.access.users import OF_AGENCIES, OF_CLIENTS, NewUser, TenantNotOfRole
from pipelines.jobs.cells import CellProblem
from pipelines.provisioning.addresses import read_email
from pipelines.queue.keys import once
from pipelines.tenants.agencies import agency
from web.admission import canonical, mark_replay, offered_key
from web.api.routes import MAY_HAVE_KEY, Routes, answers, asks, documented, reads
from web.fields import Flag, Identity, PageQuery, Secret, Text, one_of
from web.front import front
from web.guards import permitted, principal
from web.pages import id_cursor, listed
from web.tenant_choice import chosen_client

routes = Routes("users", "The people of a tenant and those below it.")
#: A key is no person.
ROLES = [role.value for role in Role if role is not Role.STOREFRONT_KEY]

#: End users come with their claims and coupons.
MADE = [name for name in ROLES if name != Role.END_USER]


class User(Schema):
    id = fields.UUID()
    email = fields.String()
    name = fields.String()
    role = fields.String()
    agency_id = fields.UUID(allow_none=True)
    client_id = fields.UUID(allow_none=True)
    disabled = fields.Boolean()
    created_at = fields.DateTime()


class UserInFull(User):
    rests_until = fields.DateTime(
        allow_none=True,
        metadata={"description": "After too many wrong passwords: no sign-in before this time."},
    )


class UserPage(Schema):
    data = fields.List(fields.Nested(User))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


class EmailAddress(Secret):
    """An address that mail could be sent to, by its syntax."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        read = read_email(super()._deserialize(value, *args, **kwargs))
        if isinstance(read, CellProblem):
            raise ValidationError(f"{read.code}|{read.detail}")
        return read.address


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


def shown(row: Row[Any]) -> dict[str, Any]:
    facts = dict(row._mapping)
    return facts | {"disabled": facts.pop("disabled_at") is not None}


@routes.get("/auth/admin/users")
@permitted(Permission.USERS_MANAGE)
@asks(PageQuery)
@answers(200, UserPage)
def list_users(query: dict[str, Any]) -> Response:
    """List the people of your tenant and below, newest first."""
    limit, before = query["limit"], id_cursor(query)
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        rows = manage_users.list_users(session, principal(), before=before, limit=limit + 1)
    return listed(rows, limit=limit, view=shown, place=lambda row: row.id)


@routes.post("/users")
@permitted(Permission.USERS_MANAGE)
@reads(NewUserBody)
@documented(parameters=[MAY_HAVE_KEY])
@answers(201, UserInFull)
def create_user(body: dict[str, Any]) -> Response:
    """Make a person below you, in your tenant or one below; give them the password to change."""
    caller = principal()
    # What is kept of a request is a fast hash, under which no password may stand.
    named = {name: value for name, value in body.items() if name != "password"}
    key = offered_key(caller, canonical(named))
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        place = place_of(session, caller, Role(body["role"]), body)
    person = NewUser(body["email"], body["password"], Role(body["role"]), body["name"], *place)
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        make = partial(manage_users.make_user, session, caller, person)
        done = once(session, key, make, status=201, resource_kind="user")
        response = _answer(session, done.resource_id)
    response.status_code = 201
    return mark_replay(response, is_replay=done.is_replay)


def place_of(
    session: Session, caller: Principal, role: Role, body: dict[str, Any]
) -> tuple[UUID | None, UUID | None]:
    """Agency and client of the new person: the caller's own, those named, or none.

    Raises `NotFound` for what the caller does not see, `ClientRequired`, `TenantNotOfRole`.
    """
    agency_id, client_id = body["agency_id"], body["client_id"]
    if role in OF_CLIENTS and agency_id is None:
        client_id = chosen_client(session, caller, client_id)
        return client_for_key(session, client_id), client_id
    if role in OF_AGENCIES and client_id is None:
        agency_id = agency_id or caller.agency_id
        return (agency(session, agency_id).id if agency_id else None), None
    if agency_id or client_id:
        raise TenantNotOfRole
    return None, None


@routes.get("/users/<uuid:user_id>")
@permitted(Permission.USERS_MANAGE)
@answers(200, UserInFull)
def get_user(user_id: UUID) -> Response:
    """One person, and until when they take no password."""
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        return _answer(session, user_id)


@routes.patch("/users/<uuid:user_id>")
@permitted(Permission.USERS_MANAGE)
@reads(UserBody)
@answers(200, UserInFull)
def change_user(body: dict[str, Any], user_id: UUID) -> Response:
    """Change a person below you; who is disabled is signed out everywhere at once."""
    role = body.get("role")
    change = UserChange(body.get("name"), Role(role) if role else None, body.get("disabled"))
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        now = clock.now(session)
        manage_users.change_user(session, principal(), user_id, change, now=now)
        return _answer(session, user_id)


@routes.post("/users/<uuid:user_id>/allow-tries")
@permitted(Permission.USERS_MANAGE)
@answers(200, UserInFull)
def allow_tries(user_id: UUID) -> Response:
    """Let a person below you try passwords again, after too many wrong ones."""
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        manage_users.allow_tries(session, principal(), user_id)
        return _answer(session, user_id)


def _answer(session: Session, user_id: UUID) -> Response:
    row = manage_users.user_row(session, principal(), user_id)
    return jsonify(shown(row) | {"rests_until": manage_users.rests_until(session, row.email)})
