"""The form that invites a person by mail; they choose the password themselves."""

from collections.abc import Mapping

from flask import Blueprint, Response, url_for

from models.people import Role
from pipelines.access.invitations import LINK_LIVES, Guest
from pipelines.access.permissions import Permission
from pipelines.access.rate_policies import Policy
from pipelines.access.users import EmailTaken, RoleWithoutTenant
from pipelines.errors import NotFound
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
from web.guards import freshly_proven, permitted
from web.inviting import send_invitation
from web.rate_limits import RateLimited, limited
from web.tenant_choice import ClientRequired


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/invitations/new", "invitation_new", ask, methods=["GET"])
    console.add_url_rule("/invitations/new", "invitation_new_now", send, methods=["POST"])


@permitted(Permission.USERS_MANAGE)
def ask() -> Response:
    freshly_proven()
    return _form({}, {})


def _typed_address() -> str:
    return typed_person()["email"]


def _too_often(refusal: RateLimited) -> Response:
    response = _form(typed_person(), {"email": refusal.detail}, status=429)
    response.headers["Retry-After"] = str(refusal.retry_after_seconds)
    return response


@permitted(Permission.USERS_MANAGE)
@limited(Policy.INVITE, account=_typed_address, otherwise=_too_often)
def send() -> Response:
    """Send the invitation; a form that is sent twice sends one."""
    caller, typed = freshly_proven(), typed_person()
    errors = person_errors(caller, typed)
    if errors:
        return _form(typed, errors)
    role = Role(typed["role"])
    wanted = Guest(address(typed["email"]), role, typed["name"], *named_place(typed))
    try:
        send_invitation(caller, wanted, key_of_form(caller.actor_id))
    except EmailTaken as refusal:
        return _form(typed, {"email": refusal.detail})
    except (ClientRequired, RoleWithoutTenant, NotFound):
        return _form(typed, nowhere(typed))
    return go(url_for("console.invitations", done="sent"))


def _form(typed: Mapping[str, str], errors: dict[str, str], *, status: int = 422) -> Response:
    home = url_for("console.invitations")
    people = url_for("console.people")
    return page(
        "invitation_new.html",
        title="Invite a person",
        section="people",
        crumbs=[("People", people), ("Invitations", home), ("New", None)],
        status=status if errors else 200,
        typed=typed,
        errors=errors,
        days=LINK_LIVES.days,
        home=home,
        **person_fields(),
    )
