"""Look through a person's eyes over HTTP, to help them (SEC-30)."""

from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, fields

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.access.impersonation import Look, begin_look
from pipelines.access.permissions import Permission
from pipelines.access.sign_ins import holder
from pipelines.access.tokens import AccessClaims, issue_access_token
from pipelines.audit.record import REASON_CHARACTERS_MAX
from web.api.routes import Routes, answers, reads
from web.devices import this_device
from web.fields import Text
from web.front import front
from web.guards import freshly_proven, permitted

routes = Routes("impersonation", "Looking through a person's eyes, read-only.")


class LookBody(Schema):
    reason = Text(longest=REASON_CHARACTERS_MAX, required=True)
    ticket = Text(longest=100, required=True)


class LookToken(Schema):
    access_token = fields.String()
    token_type = fields.String()
    expires_in = fields.Integer()


@routes.post("/users/<uuid:user_id>/impersonate")
@permitted(Permission.IMPERSONATE)
@reads(LookBody)
@answers(201, LookToken)
def impersonate(body: dict[str, Any], user_id: UUID) -> Response:
    """A token that sees what the person sees and changes nothing, for half an hour.

    The person's tenant reads in its audit log that you looked, and why.
    """
    house, caller = front().house, freshly_proven()
    look = Look(user_id, body["reason"], body["ticket"])
    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = clock.now(session)
        sign_in_id = begin_look(
            session, caller, look, limits=house.limits, now=now, device=this_device()
        )
        seen = holder(session, sign_in_id, user_id, now=now)
    assert seen is not None, "the look began just now"
    seconds = house.limits.impersonation_seconds
    token = issue_access_token(
        AccessClaims(user_id, sign_in_id),
        role=seen.role.value,
        key=house.settings.token_key,
        now=now,
        seconds=seconds,
    )
    response = jsonify({"access_token": token, "token_type": "Bearer", "expires_in": seconds})
    response.status_code = 201
    return response
