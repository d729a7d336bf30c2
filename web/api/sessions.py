"""Where a person is signed in: seen and ended by themselves, and by those above them."""

from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, fields
from sqlalchemy import Row

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.access import manage_users
from pipelines.access.permissions import Permission
from pipelines.access.principals import Principal
from pipelines.access.sign_ins import end_other_sign_ins, end_sign_in, list_sign_ins
from web.api.routes import Routes, answers
from web.front import front
from web.guards import freshly_proven, permitted, principal

routes = Routes("sessions", "Where somebody is signed in.")


class SignedIn(Schema):
    id = fields.UUID()
    kind = fields.String(metadata={"description": "`console`: a browser; `refresh`: a program."})
    created_at = fields.DateTime()
    last_used_at = fields.DateTime()
    expires_at = fields.DateTime()
    network = fields.String(
        allow_none=True, metadata={"description": "The network at sign-in, never a whole address."}
    )
    user_agent = fields.String(allow_none=True)
    current = fields.Boolean()


class SignedInList(Schema):
    data = fields.List(fields.Nested(SignedIn))


def shown(row: Row[Any], caller: Principal) -> dict[str, Any]:
    facts = dict(row._mapping)
    facts["network"] = facts.pop("address")
    return facts | {"current": row.id == caller.sign_in_id}


@routes.get("/auth/sessions")
@permitted(Permission.OWN_CREDENTIALS)
@answers(200, SignedInList)
def list_own_sessions() -> Response:
    """Where you are signed in, last used first."""
    house, caller = front().house, principal()
    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = clock.now(session)
        rows = list_sign_ins(session, caller.actor_id, now=now, limits=house.limits)
    return jsonify({"data": [shown(row, caller) for row in rows]})


@routes.delete("/auth/sessions/<uuid:session_id>")
@permitted(Permission.OWN_CREDENTIALS)
@answers(204)
def end_own_session(session_id: UUID) -> Response:
    """Sign yourself out in one place, at once."""
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        now = clock.now(session)
        end_sign_in(session, session_id, user_id=principal().actor_id, now=now)
    return Response(status=204)


@routes.delete("/auth/sessions")
@permitted(Permission.OWN_CREDENTIALS)
@answers(204)
def end_other_sessions() -> Response:
    """Sign yourself out everywhere but here."""
    caller = principal()
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        end_other_sign_ins(session, caller, now=clock.now(session))
    return Response(status=204)


@routes.post("/users/<uuid:user_id>/sign-out")
@permitted(Permission.USERS_MANAGE)
@answers(204)
def sign_user_out(user_id: UUID) -> Response:
    """Sign a person below you out everywhere, at once."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        manage_users.sign_out(session, principal(), user_id, now=clock.now(session))
    return Response(status=204)


@routes.post("/users/<uuid:user_id>/reset-second-factor")
@permitted(Permission.USERS_MANAGE)
@answers(204)
def reset_second_factor(user_id: UUID) -> Response:
    """Take away the second factor of a person below you who lost it; they are signed out.

    Make sure that it is they who ask: this is what a thief of their password would want.
    """
    freshly_proven()
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        manage_users.reset_second_factor(session, principal(), user_id, now=clock.now(session))
    return Response(status=204)
