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
from pipelines.access.users import OF_AGENCIES, OF_CLIENTS, EmailTaken, NewUser, RoleWithoutTenant
from pipelines.errors import NotFound, ValidationFailed
from pipelines.jobs.cells import FORBIDDEN_CONTROLS, CellProblem
from pipelines.provisioning.addresses import read_email
from pipelines.queue.keys import once
from pipelines.tenants.agencies import list_agencies
from pipelines.tenants.clients import list_clients
from web.console.form_names import form_name, key_of_form
from web.console.frame import go, page
from web.console.role_words import ROLES, roles_below
from web.console.visit import looking
from web.guards import freshly_proven, permitted, principal
from web.tenant_choice import ClientRequired, place_of_new

#: More do not fit into a field of choices; the API takes any.
CHOICES_MAX = 500
NAME_CHARACTERS_MAX = 200
PASSWORD_CHARACTERS_MAX = 1024
#: End users come with their claims and coupons.
MADE: Mapping[Role, str] = {
    role: words for role, words in ROLES.items() if role is not Role.END_USER
}
Choices = list[tuple[str, str]]


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/people/new", "person_new", ask, methods=["GET"])
    console.add_url_rule("/people/new", "person_new_now", make, methods=["POST"])


@permitted(Permission.USERS_MANAGE)
def ask() -> Response:
    return _form({}, {})


@permitted(Permission.USERS_MANAGE)
def make() -> Response:
    """Make the person; a form that is sent twice makes one."""
    caller, typed = freshly_proven(), _typed(request.form)
    errors = _errors(caller, typed)
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
        field = "client_id" if Role(typed["role"]) in OF_CLIENTS else "agency_id"
        return _form(typed, {field: "Choose where the person belongs."})
    return go(url_for("console.person", user_id=done.resource_id))


def _make(session: Session, caller: Principal, typed: Mapping[str, str]) -> UUID:
    role = Role(typed["role"])
    agency_id = _uuid(typed["agency_id"]) if role in OF_AGENCIES else None
    client_id = _uuid(typed["client_id"]) if role in OF_CLIENTS else None
    place = place_of_new(session, caller, role, agency_id, client_id)
    person = NewUser(_address(typed["email"]), typed["password"], role, typed["name"], *place)
    return make_user(session, caller, person)


def _typed(form: Mapping[str, str]) -> dict[str, str]:
    names = ("email", "name", "role", "agency_id", "client_id")
    typed = {name: form.get(name, "").strip()[:320] for name in names}
    return typed | {"password": form.get("password", "")[:PASSWORD_CHARACTERS_MAX]}


def _errors(caller: Principal, typed: Mapping[str, str]) -> dict[str, str]:
    errors: dict[str, str] = {}
    if not _address(typed["email"]):
        errors["email"] = "Give an address such as ada@example.com."
    if len(typed["name"]) > NAME_CHARACTERS_MAX or FORBIDDEN_CONTROLS.search(typed["name"]):
        errors["name"] = f"Give a name of at most {NAME_CHARACTERS_MAX} ordinary characters."
    if typed["role"] not in dict(roles_below(caller.role, MADE)):
        errors["role"] = "Choose a role."
    return errors


def _address(text: str) -> str:
    read = read_email(text)
    return "" if isinstance(read, CellProblem) else read.address


def _form(typed: Mapping[str, str], errors: dict[str, str]) -> Response:
    caller = principal()
    agencies, clients = _tenants(caller)
    return page(
        "person_new.html",
        title="New person",
        section="people",
        crumbs=[("People", url_for("console.people")), ("New", None)],
        status=422 if errors else 200,
        typed=typed,
        roles=roles_below(caller.role, MADE),
        agencies=agencies,
        clients=clients,
        form_name=form_name(),
        errors=errors,
    )


def _tenants(caller: Principal) -> tuple[Choices, Choices]:
    """Where the person may belong, as far as that is the visitor's to choose."""
    agencies: Choices = []
    if caller.agency_id is None:
        with looking() as session:
            rows = list_agencies(session, before=None, limit=CHOICES_MAX)
        agencies = [(str(row.id), row.name) for row in rows]
    return agencies, client_choices(caller)


def client_choices(caller: Principal) -> Choices:
    """The clients among whom the visitor chooses; none where there is nothing to choose."""
    if caller.client_id is not None:
        return []
    with looking() as session:
        rows = list_clients(session, before=None, limit=CHOICES_MAX)
    return [(str(row.id), row.name) for row in rows]


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
