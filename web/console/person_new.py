"""The form that makes a person, who gets a password to change."""

from collections.abc import Mapping
from functools import partial
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy.orm import Session

from models.people import Role
from pipelines.access.manage_users import make_user
from pipelines.access.permissions import Permission
from pipelines.access.principals import Principal
from pipelines.access.users import EmailTaken, NewUser, RoleWithoutTenant
from pipelines.errors import NotFound, ValidationFailed
from pipelines.queue.keys import once
from web.console.form_names import key_of_form
from web.console.frame import go, page
from web.console.person_form import (
    address,
    named_place,
    nowhere,
    person_errors,
    person_fields,
    typed_person,
)
from web.console.visit import looking
from web.guards import freshly_proven, permitted
from web.tenant_choice import ClientRequired, place_of_new

PASSWORD_CHARACTERS_MAX = 1024


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/people/new", "person_new", ask, methods=["GET"])
    console.add_url_rule("/people/new", "person_new_now", make, methods=["POST"])


@permitted(Permission.USERS_MANAGE)
def ask() -> Response:
    return _form({}, {})


@permitted(Permission.USERS_MANAGE)
def make() -> Response:
    """Make the person; a form that is sent twice makes one."""
    caller, typed = freshly_proven(), typed_person()
    errors = person_errors(caller, typed)
    if errors:
        return _form(typed, errors)
    try:
        with looking() as session:
            verb = partial(_make, session, caller, typed)
            key = key_of_form(caller.actor_id)
            done = once(session, key, verb, status=303, resource_kind="user")
    except ValidationFailed as refusal:
        return _form(typed, {"password": refusal.errors[0].detail})
    except EmailTaken as refusal:
        return _form(typed, {"email": refusal.detail})
    except (ClientRequired, RoleWithoutTenant, NotFound):
        return _form(typed, nowhere(typed))
    return go(url_for("console.person", user_id=done.resource_id))


def _make(session: Session, caller: Principal, typed: Mapping[str, str]) -> UUID:
    role = Role(typed["role"])
    place = place_of_new(session, caller, role, *named_place(typed))
    password = request.form.get("password", "")[:PASSWORD_CHARACTERS_MAX]
    person = NewUser(address(typed["email"]), password, role, typed["name"], *place)
    return make_user(session, caller, person)


def _form(typed: Mapping[str, str], errors: dict[str, str]) -> Response:
    return page(
        "person_new.html",
        title="New person",
        section="people",
        crumbs=[("People", url_for("console.people")), ("New", None)],
        status=422 if errors else 200,
        typed=typed,
        errors=errors,
        **person_fields(),
    )
