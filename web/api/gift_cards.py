"""One gift card over HTTP: asked for, and opened."""

from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, fields

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM, Scope, client
from pipelines.access.permissions import Permission
from pipelines.access.principals import Principal
from pipelines.access.rate_policies import Policy
from pipelines.errors import NotFound
from pipelines.provisioning.campaigns import client_of_campaign
from pipelines.provisioning.recipients import DeliveryMethod
from pipelines.provisioning.reveal import OpenedCard, facts_by_token, reveal
from pipelines.provisioning.reveal_link import NotTheRecipient, needs_email, open_by_link
from pipelines.provisioning.single import AcceptedSingle, SingleRequest, submit_single
from pipelines.queue.kinds import RUN_SINGLE
from pipelines.queue.ring import Doorbell
from web.admission import canonical, request_key
from web.api.job_schemas import Job
from web.api.routes import IDEMPOTENCY_KEY, PREFER, Routes, answers, documented, may_read, reads
from web.fields import Identity, Minor, Secret, Text, one_of
from web.front import front
from web.guards import enter, freshly_proven, permitted, principal, public
from web.humans import humans_only
from web.jobs_shown import accepted
from web.misses import looking_up, misses
from web.rate_limits import limited

routes = Routes("gift-cards", "Gift cards given to recipients.")
CELL_CHARACTERS_MAX = 4_096
EMAIL_CHARACTERS_MAX = 320


class RecipientBody(Schema):
    email = Secret(longest=CELL_CHARACTERS_MAX, allow_none=True)
    name = Secret(longest=CELL_CHARACTERS_MAX, allow_none=True)
    phone = Secret(longest=CELL_CHARACTERS_MAX, allow_none=True)
    reference = Secret(longest=CELL_CHARACTERS_MAX, allow_none=True)


class ProvisionBody(Schema):
    campaign_id = Identity(required=True)
    brand_id = Identity(required=True)
    denomination_minor = Minor(required=True)
    redemption_code = Text(longest=64, load_default=None, allow_none=True)
    recipient = fields.Nested(RecipientBody, load_default=dict)
    delivery_method = fields.String(
        load_default=DeliveryMethod.EMAIL.value, validate=one_of(*DeliveryMethod)
    )


class RevealBody(Schema):
    token = Secret(
        longest=128,
        load_default=None,
        allow_none=True,
        metadata={"description": "The last part of a reveal link; without one, sign in."},
    )
    email = Secret(
        longest=EMAIL_CHARACTERS_MAX,
        load_default=None,
        allow_none=True,
        metadata={
            "description": "With a token: the address at which the link arrived. A card that went "
            "to no address needs none."
        },
    )


class OpenCard(Schema):
    card_number = fields.String()
    pin = fields.String(allow_none=True)
    url = fields.String(allow_none=True)
    expires_on = fields.Date(allow_none=True)
    brand = fields.String()
    value_minor = fields.Integer()
    currency = fields.String()


@routes.post("/gift-cards/provision")
@permitted(Permission.PROVISION)
@reads(ProvisionBody)
@documented(parameters=[IDEMPOTENCY_KEY, PREFER])
@answers(200, Job)
@answers(202, Job)
def provision_gift_card(body: dict[str, Any]) -> Response:
    """Give one card to one recipient; `Prefer: wait=N` answers with the outcome."""
    house, caller = front().house, principal()
    key = request_key(caller, canonical(body))
    asked = SingleRequest(
        campaign_id=body["campaign_id"],
        brand_id=body["brand_id"],
        denomination_minor=body["denomination_minor"],
        delivery_method=DeliveryMethod(body["delivery_method"]),
        recipient=body["recipient"],
        redemption_code=body["redemption_code"],
    )
    with scoped_transaction(house.sessions, client_scope(caller, asked.campaign_id)) as session:
        done = submit_single(
            session,
            asked,
            actor_id=caller.actor_id,
            key=key,
            keyring=house.settings.keyring,
            person_secret=house.person_secret,
            limits=house.limits,
        )
    _ring(done)
    return accepted(caller, done.job_id, is_replay=done.is_replay)


@routes.post("/gift-cards/<uuid:redemption_id>/reveal")
@public
@limited(Policy.REVEAL)
@may_read(RevealBody)
@humans_only(Policy.REVEAL, when=lambda body, **_: body["token"] and misses().is_alarmed)
@answers(200, OpenCard)
def reveal_gift_card(body: dict[str, Any], redemption_id: UUID) -> Response:
    """Open a card, audited: by its reveal token and the recipient's address, or signed in.

    Ten wrong addresses in an hour let the card rest, here and on the page of its link together.
    """
    token = body["token"]
    if token is None:
        card = _opened_by_staff(redemption_id)
    else:
        card = _opened_by_link(redemption_id, token, body["email"] or "")
    response = jsonify(_laid_open(card))
    response.headers["Cache-Control"] = "no-store"
    return response


def client_scope(caller: Principal, campaign_id: UUID) -> Scope:
    """The scope of the campaign's client; `NotFound` for a campaign beyond the caller's own."""
    if caller.client_id is not None:
        return caller.scope
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        return client(client_of_campaign(session, campaign_id))


def _ring(done: AcceptedSingle) -> None:
    """The accepter rings by itself, within the budget; if nobody hears it the relay will."""
    if done.task_id is not None:
        bell = Doorbell(done.task_id, RUN_SINGLE.name, RUN_SINGLE.queue.value)
        front().broker.ring([bell])


def _opened_by_staff(redemption_id: UUID) -> OpenedCard:
    house, caller = front().house, enter(Permission.CARDS_REVEAL)
    freshly_proven()
    with scoped_transaction(house.sessions, caller.scope) as session:
        return reveal(
            session,
            redemption_id,
            actor_id=caller.actor_id,
            keyring=house.settings.keyring,
            now=clock.now(session),
        )


def _opened_by_link(redemption_id: UUID, token: str, email: str) -> OpenedCard:
    """The same question as the link's page asks (EC-079)."""
    house = front().house
    with looking_up(token), scoped_transaction(house.sessions, SYSTEM) as session:
        facts = facts_by_token(session, token, house.settings.keyring)
        if facts.provision_id != redemption_id:
            raise NotFound
        by_email = needs_email(session, redemption_id)
    if by_email and not email.strip():  # no try, and not counted as one
        raise NotTheRecipient
    with scoped_transaction(house.sessions, client(facts.client_id)) as session:
        card = open_by_link(
            session,
            redemption_id,
            email,
            person_secret=house.person_secret,
            keyring=house.settings.keyring,
            now=clock.now(session),
        )
    if card is None:  # said only here, for the try has to stay written
        raise NotTheRecipient
    return card


def _laid_open(card: OpenedCard) -> dict[str, Any]:
    return {
        "card_number": card.number.reveal(),
        "pin": card.pin.reveal() if card.pin else None,
        "url": card.url.reveal() if card.url else None,
        "expires_on": card.expires_on,
        "brand": card.brand,
        "value_minor": card.value_minor,
        "currency": card.currency,
    }
