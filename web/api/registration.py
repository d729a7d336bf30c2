"""Register over HTTP: at once in a demo, by a mailed link in production (decision 0027)."""

from typing import Any

from flask import Response, jsonify
from marshmallow import Schema, fields

from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.access.principals import Principal
from pipelines.access.rate_policies import Policy
from pipelines.access.registration import (
    Registrant,
    confirm_registration,
    register,
    register_at_once,
)
from pipelines.access.users import person
from pipelines.settings import Environment
from web.api.routes import Routes, answers, reads
from web.fields import EmailAddress, Secret, Text
from web.front import front
from web.guards import public
from web.humans import humans_only
from web.rate_limits import limited

routes = Routes("registration", "An account of one's own, for end users.")
ASKED = "A mail with the next step is on its way to this address."


class RegisterBody(Schema):
    email = EmailAddress(required=True, longest=320)
    password = Secret(required=True, longest=1024)
    name = Text(longest=200, load_default="")


class ConfirmBody(Schema):
    token = Secret(required=True, longest=256)
    password = Secret(required=True, longest=1024)


class Registered(Schema):
    """In production `detail` alone."""

    id = fields.UUID()
    email = fields.String()
    name = fields.String()
    role = fields.String()
    detail = fields.String()


@routes.post("/auth/register")
@public
@reads(RegisterBody)
@limited(Policy.REGISTER, account=lambda body: body["email"])
@humans_only(Policy.REGISTER, account=lambda body: body["email"])
@answers(201, Registered)
def register_user(body: dict[str, Any]) -> Response:
    """Register as an end user.

    In production the answer is 202, the same for every address, and the account begins with the
    link in the mail. In demo and test, where no mail leaves the house, it begins at once (201).
    """
    house = front().house
    registrant = Registrant(body["email"], body["password"], body["name"])
    if house.settings.environment is Environment.PRODUCTION:
        register(house.sessions, registrant, keyring=house.settings.keyring)
        response = jsonify({"detail": ASKED})
        response.status_code = 202
        return response
    user_id = register_at_once(house.sessions, registrant, keyring=house.settings.keyring)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        made = person(session, Principal(user_id, Role.END_USER))
    assert made is not None, "it was just made"
    response = jsonify({"id": made.id, "email": made.email, "name": made.name, "role": made.role})
    response.status_code = 201
    return response


@routes.post("/auth/register/confirm")
@public
@limited(Policy.SESSION)
@reads(ConfirmBody)
@answers(204)
def confirm_user_registration(body: dict[str, Any]) -> Response:
    """Begin the account with the token of the mailed link, and the password that was chosen."""
    house = front().house
    confirm_registration(
        house.sessions, body["token"], body["password"], keyring=house.settings.keyring
    )
    return Response(status=204)
