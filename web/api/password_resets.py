"""Choose a new password by a mailed link, over HTTP (S1-097, SEC-03)."""

from typing import Any

from flask import Response, jsonify
from marshmallow import Schema, fields

from pipelines.access.password_resets import ask_for_reset, reset_password
from pipelines.access.rate_policies import Policy
from web.api.routes import Routes, answers, reads
from web.fields import EmailAddress, Secret
from web.front import front
from web.guards import public
from web.humans import humans_only
from web.rate_limits import limited

routes = Routes("password resets", "A new password for who forgot the old one.")
ASKED = "If an account has this address, a mail with a link is on its way. The link lives an hour."


class ResetBody(Schema):
    email = EmailAddress(required=True, longest=320)


class ConfirmResetBody(Schema):
    token = Secret(required=True, longest=256)
    new_password = Secret(required=True, longest=1024)


class Asked(Schema):
    detail = fields.String()


@routes.post("/auth/password-reset")
@public
@reads(ResetBody)
@limited(Policy.RESET, account=lambda body: body["email"])
@humans_only(Policy.RESET, account=lambda body: body["email"])
@answers(202, Asked)
def ask_for_password_reset(body: dict[str, Any]) -> Response:
    """Have a link mailed that lets you choose a new password; the answer is the same for anybody.

    At most three in an hour for each address; the newest link ends the older.
    """
    house = front().house
    ask_for_reset(house.sessions, body["email"], keyring=house.settings.keyring)
    response = jsonify({"detail": ASKED})
    response.status_code = 202
    return response


@routes.post("/auth/password-reset/confirm")
@public
@limited(Policy.SESSION)
@reads(ConfirmResetBody)
@answers(204)
def confirm_password_reset(body: dict[str, Any]) -> Response:
    """Choose the new password; you are signed out everywhere, and the lock-out ends."""
    reset_password(front().house.sessions, body["token"], body["new_password"])
    return Response(status=204)
