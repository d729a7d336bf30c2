"""How a card's link gets to its recipient, over HTTP: looked at, and sent again."""

from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, fields

from models.database import scoped_transaction
from models.deliveries import Channel, DeliveryState
from models.scope import client
from pipelines.access.permissions import Permission, require
from pipelines.access.rate_policies import Policy
from pipelines.audit.record import REASON_CHARACTERS_MAX
from pipelines.deliveries.read import delivery_of
from pipelines.deliveries.resend import Resend, resend
from pipelines.provisioning.campaigns import client_of_provision
from web.admission import canonical, mark_replay, offered_key
from web.api.routes import MAY_HAVE_KEY, Routes, answers, documented, may_read
from web.fields import Secret, Text, Word
from web.front import front
from web.guards import freshly_proven, permitted, principal
from web.rate_limits import limited

routes = Routes("deliveries", "Links of gift cards on their way to recipients.")
ADDRESS_CHARACTERS_MAX = 320
PHONE_CHARACTERS_MAX = 40


class ResendBody(Schema):
    email = Secret(
        longest=ADDRESS_CHARACTERS_MAX,
        load_default=None,
        allow_none=True,
        metadata={"description": "Another address; without one the card's own is used."},
    )
    phone = Secret(
        longest=PHONE_CHARACTERS_MAX,
        load_default=None,
        allow_none=True,
        metadata={"description": "Instead of `email`: a number for SMS, with its country code."},
    )
    reason = Text(
        longest=REASON_CHARACTERS_MAX,
        load_default=None,
        allow_none=True,
        metadata={"description": "Why the address changes, for the audit log."},
    )


class Try(Schema):
    sending = fields.Integer()
    at = fields.String()
    outcome = fields.String(
        metadata={"description": "`sent`, `delivered`, or the class of what went wrong."}
    )
    reference = fields.String(
        allow_none=True, metadata={"description": "The SMS company's own name for the message."}
    )


class CardDelivery(Schema):
    redemption_id = fields.UUID()
    channel = Word(Channel, allow_none=True)
    state = Word(["none", *DeliveryState], description="Apart from the card's own state.")
    code = fields.String(allow_none=True)
    sending = fields.Integer(allow_none=True)
    attempts = fields.Integer(allow_none=True)
    tries = fields.List(fields.Nested(Try))
    ended_at = fields.DateTime(allow_none=True)
    revealed_at = fields.DateTime(allow_none=True)


@routes.get("/gift-cards/<uuid:redemption_id>/delivery")
@permitted(Permission.JOBS_READ)
@answers(200, CardDelivery)
def get_delivery(redemption_id: UUID) -> Response:
    """What became of a card's link; no address is shown."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        return jsonify(delivery_of(session, redemption_id))


@routes.post("/gift-cards/<uuid:redemption_id>/resend")
@permitted(Permission.PROVISION)
@limited(Policy.SUBMIT)
@may_read(ResendBody)
@documented(parameters=[MAY_HAVE_KEY])
@answers(202, CardDelivery)
def resend_gift_card(body: dict[str, Any], redemption_id: UUID) -> Response:
    """Send the link of a card again, five times a day at most; the card stays the same.

    Another address needs a reason, the right to open cards and a fresh proof of who asks; links
    sent before are dead then.
    """
    house, caller = front().house, principal()
    asked = Resend(redemption_id, email=body["email"], phone=body["phone"], reason=body["reason"])
    if asked.names_address:
        require(caller, Permission.CARDS_REVEAL)
        freshly_proven()
    key = offered_key(caller, canonical(body))
    with scoped_transaction(house.sessions, caller.scope) as session:
        owner = client(client_of_provision(session, redemption_id))
    with scoped_transaction(house.sessions, owner) as session:
        done = resend(
            session,
            asked,
            actor_id=caller.actor_id,
            key=key,
            keyring=house.settings.keyring,
            person_secret=house.person_secret,
        )
        answer = jsonify(delivery_of(session, redemption_id))
    answer.status_code = 202
    return mark_replay(answer, is_replay=done.is_replay)
