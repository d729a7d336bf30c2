"""Invitations over HTTP: somebody below is asked in by mail, and chooses the password (SEC-09)."""

from dataclasses import asdict
from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, fields

from models import clock
from models.database import scoped_transaction
from models.people import Role
from pipelines.access import invitations
from pipelines.access.invitations import Guest, InvitationView
from pipelines.access.permissions import Permission
from pipelines.access.rate_policies import Policy
from web.admission import canonical, mark_replay, offered_key
from web.api.routes import MAY_HAVE_KEY, Routes, answers, asks, documented, reads
from web.api.users import MADE
from web.fields import EmailAddress, Identity, PageQuery, Secret, Text, one_of
from web.front import front
from web.guards import freshly_proven, permitted, principal, public
from web.inviting import invitation_seen, invitations_seen, send_invitation
from web.pages import id_cursor, listed
from web.rate_limits import limited

#: Ids of a mail, and of a person who may stand above the reader.
_NOT_SHOWN = frozenset({"mail_id", "invited_by"})

routes = Routes("invitations", "Accounts that wait for their owners to choose a password.")


class InvitationBody(Schema):
    email = EmailAddress(required=True, longest=320)
    name = Text(longest=200, load_default="")
    role = fields.String(required=True, validate=one_of(*MADE))
    agency_id = Identity(load_default=None, allow_none=True)
    client_id = Identity(load_default=None, allow_none=True)


class AcceptBody(Schema):
    token = Secret(required=True, longest=256)
    password = Secret(required=True, longest=1024)
    name = Text(longest=200, load_default=None)


class Invitation(Schema):
    id = fields.UUID()
    email = fields.String(allow_none=True)
    name = fields.String(allow_none=True)
    role = fields.String()
    agency_id = fields.UUID(allow_none=True)
    client_id = fields.UUID(allow_none=True)
    state = fields.String()
    mail = fields.String(
        allow_none=True,
        metadata={"description": "The mail with the link: waiting, sent, bounced or gave_up."},
    )
    user_id = fields.UUID(allow_none=True)
    expires_at = fields.DateTime()
    created_at = fields.DateTime()


class InvitationPage(Schema):
    data = fields.List(fields.Nested(Invitation))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


@routes.post("/invitations")
@permitted(Permission.USERS_MANAGE)
@reads(InvitationBody)
@limited(Policy.INVITE, account=lambda body: body["email"])
@documented(parameters=[MAY_HAVE_KEY])
@answers(201, Invitation)
def invite(body: dict[str, Any]) -> Response:
    """Invite a person below you by mail; the link lives seven days, and a newer one ends it."""
    caller, role = freshly_proven(), Role(body["role"])
    key = offered_key(caller, canonical(body))
    wanted = Guest(body["email"], role, body["name"], body["agency_id"], body["client_id"])
    done = send_invitation(caller, wanted, key)
    response = jsonify(_shown(invitation_seen(done.resource_id)))
    response.status_code = 201
    return mark_replay(response, is_replay=done.is_replay)


@routes.get("/invitations")
@permitted(Permission.USERS_MANAGE)
@asks(PageQuery)
@answers(200, InvitationPage)
def list_invitations(query: dict[str, Any]) -> Response:
    """List the invitations of your tenant and below, newest first, and how their mails went."""
    limit = query["limit"]
    found = invitations_seen(before=id_cursor(query), limit=limit + 1)
    return listed(found, limit=limit, view=_shown, place=lambda view: view.id)


@routes.delete("/invitations/<uuid:invitation_id>")
@permitted(Permission.USERS_MANAGE)
@answers(204)
def withdraw_invitation(invitation_id: UUID) -> Response:
    """Withdraw an invitation: its link is dead at once. An accepted one stays accepted."""
    caller = principal()
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        invitations.withdraw(session, caller, invitation_id, now=clock.now(session))
    return Response(status=204)


@routes.post("/invitations/accept")
@public
@limited(Policy.SESSION)
@reads(AcceptBody)
@answers(204)
def accept_invitation(body: dict[str, Any]) -> Response:
    """Choose a password, and a name if you want another; then sign in."""
    house = front().house
    invitations.accept(
        house.sessions,
        body["token"],
        body["password"],
        name=body["name"],
        keyring=house.settings.keyring,
    )
    return Response(status=204)


def _shown(view: InvitationView) -> dict[str, Any]:
    facts = asdict(view)
    return {name: value for name, value in facts.items() if name not in _NOT_SHOWN}
