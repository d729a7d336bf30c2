"""The fields that say who somebody new is and where they belong: read, checked, with their choices."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from models.people import Role
from pipelines.access.principals import Principal
from pipelines.access.users import OF_AGENCIES, OF_CLIENTS
from pipelines.jobs.addresses import read_email
from pipelines.jobs.cells import FORBIDDEN_CONTROLS, CellProblem
from pipelines.tenants.agencies import list_agencies
from pipelines.tenants.clients import list_clients
from web.console.form_names import form_name
from web.console.role_words import ROLES, roles_below
from web.console.typed import id_in, typed_fields
from web.console.visit import looking
from web.guards import principal

#: More do not fit into a field of choices; the API takes any.
CHOICES_MAX = 500
NAME_CHARACTERS_MAX = 200
#: End users come with their claims and coupons.
MADE: Mapping[Role, str] = {
    role: words for role, words in ROLES.items() if role is not Role.END_USER
}
Choices = list[tuple[str, str]]


def typed_person() -> dict[str, str]:
    """What stands in the fields of the form that was sent."""
    return typed_fields("email", "name", "role", "agency_id", "client_id", "other_client_id")


def person_errors(caller: Principal, typed: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with them, by field."""
    errors: dict[str, str] = {}
    if not address(typed["email"]):
        errors["email"] = "Give an address such as ada@example.com."
    if len(typed["name"]) > NAME_CHARACTERS_MAX or FORBIDDEN_CONTROLS.search(typed["name"]):
        errors["name"] = f"Give a name of at most {NAME_CHARACTERS_MAX} ordinary characters."
    if typed["role"] not in dict(roles_below(caller.role, MADE)):
        errors["role"] = "Choose a role."
    return errors


def nowhere(typed: Mapping[str, str]) -> dict[str, str]:
    """The error of a place that was not chosen, or is not the visitor's to choose."""
    field = typed_client(typed)[0] if Role(typed["role"]) in OF_CLIENTS else "agency_id"
    return {field: "Choose where the person belongs."}


def address(text: str) -> str:
    """The address as it is kept; empty for what mail cannot be sent to."""
    read = read_email(text)
    return "" if isinstance(read, CellProblem) else read.address


def named_place(typed: Mapping[str, str]) -> tuple[UUID | None, UUID | None]:
    """Agency and client as the role needs them; the other field does not matter."""
    role = Role(typed["role"])
    agency_id = id_in(typed["agency_id"]) if role in OF_AGENCIES else None
    return agency_id, id_in(typed_client(typed)[1]) if role in OF_CLIENTS else None


def person_fields() -> dict[str, Any]:
    """What the fields offer: roles below the visitor's, places within their tenant."""
    caller = principal()
    agencies: Choices = []
    if caller.agency_id is None:
        with looking() as session:
            rows = list_agencies(session, before=None, limit=CHOICES_MAX)
        agencies = [(str(row.id), row.name) for row in rows]
    return {
        "roles": roles_below(caller.role, MADE),
        "agencies": agencies,
        **offered_clients(caller),
        "form_name": form_name(),
    }


def client_choices(caller: Principal) -> Choices:
    """The clients among whom the visitor chooses; none where there is nothing to choose."""
    if caller.client_id is not None:
        return []
    with looking() as session:
        rows = list_clients(session, before=None, limit=CHOICES_MAX)
    return [(str(row.id), row.name) for row in rows]


def offered_clients(caller: Principal) -> dict[str, Any]:
    """The choices of a form, and how many are listed where there may be more than that."""
    choices = client_choices(caller)
    return {"clients": choices, "clients_cut": CHOICES_MAX if len(choices) == CHOICES_MAX else None}


def typed_client(typed: Mapping[str, str]) -> tuple[str, str]:
    """The field that says which client, and what it says: an id that was typed goes first."""
    field = "other_client_id" if typed["other_client_id"] else "client_id"
    return field, typed[field]
