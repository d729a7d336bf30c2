"""A second factor over HTTP: set up, confirmed, proven again, its recovery codes, taken away."""

from typing import Any

from flask import Response, jsonify
from marshmallow import Schema, fields

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.access.permissions import Permission
from pipelines.access.second_factor import (
    begin_enrolment,
    remove_second_factor,
    renew_recovery_codes,
)
from pipelines.access.step_up import prove_again, verify
from pipelines.access.users import credentials_by_id
from web.api.routes import Routes, answers, reads
from web.fields import Secret
from web.front import front
from web.guards import freshly_proven, permitted, principal

routes = Routes("second factor", "One-time codes of an authenticator app.")


class CodeBody(Schema):
    totp = Secret(required=True, longest=64)


class StepUpBody(Schema):
    totp = Secret(load_default=None, longest=64, allow_none=True)
    password = Secret(load_default=None, longest=1024, allow_none=True)


class Enrolment(Schema):
    secret = fields.String(metadata={"description": "Base32, to be typed into the app."})
    otpauth_uri = fields.String(metadata={"description": "The same as a QR code holds it."})
    expires_in = fields.Integer()


class Verified(Schema):
    recovery_codes = fields.List(
        fields.String(),
        metadata={"description": "Shown once, when a second factor is set up; each works once."},
    )
    step_up_expires_in = fields.Integer()


class SteppedUp(Schema):
    step_up_expires_in = fields.Integer()


class RecoveryCodes(Schema):
    recovery_codes = fields.List(fields.String())


@routes.post("/auth/totp/enrol")
@permitted(Permission.OWN_CREDENTIALS)
@answers(201, Enrolment)
def enrol_totp() -> Response:
    """Begin to set up a second factor; it counts once a code of it is verified."""
    house, caller = front().house, freshly_proven()
    with scoped_transaction(house.sessions, SYSTEM) as session:
        email = credentials_by_id(session, caller.actor_id).email
        secret, uri = begin_enrolment(
            session,
            caller.actor_id,
            email,
            keyring=house.settings.keyring,
            limits=house.limits,
            now=clock.now(session),
        )
    response = jsonify(
        {
            "secret": secret.reveal(),
            "otpauth_uri": uri.reveal(),
            "expires_in": house.limits.enrolment_seconds,
        }
    )
    response.status_code = 201
    return response


@routes.post("/auth/totp/verify")
@permitted(Permission.OWN_CREDENTIALS)
@reads(CodeBody)
@answers(200, Verified)
def verify_totp(body: dict[str, Any]) -> Response:
    """Confirm the second factor that is being set up, or prove yourself with the one you have.

    Setting one up signs you out everywhere else, and shows the recovery codes this once.
    """
    house = front().house
    codes = verify(house.sessions, house.settings.keyring, principal(), body["totp"])
    return jsonify(
        {
            "recovery_codes": [code.reveal() for code in codes],
            "step_up_expires_in": house.limits.step_up_seconds,
        }
    )


@routes.post("/auth/step-up")
@permitted(Permission.OWN_CREDENTIALS)
@reads(StepUpBody)
@answers(200, SteppedUp)
def step_up(body: dict[str, Any]) -> Response:
    """Prove yourself again, for what opens codes or moves much money.

    By a code where you have a second factor, else by your password.
    """
    house = front().house
    prove_again(
        house.sessions,
        house.settings.keyring,
        principal(),
        totp=body["totp"],
        password=body["password"],
    )
    return jsonify({"step_up_expires_in": house.limits.step_up_seconds})


@routes.post("/auth/totp/recovery-codes")
@permitted(Permission.OWN_CREDENTIALS)
@answers(200, RecoveryCodes)
def make_recovery_codes() -> Response:
    """Make new recovery codes; those from before are worth nothing."""
    caller = freshly_proven()
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        codes = renew_recovery_codes(session, caller.actor_id)
    return jsonify({"recovery_codes": [code.reveal() for code in codes]})


@routes.delete("/auth/totp")
@permitted(Permission.OWN_CREDENTIALS)
@answers(204)
def remove_totp() -> Response:
    """Take your second factor away; an administrator then has to set up another at once."""
    caller = freshly_proven()
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        remove_second_factor(session, caller.actor_id)
    return Response(status=204)
