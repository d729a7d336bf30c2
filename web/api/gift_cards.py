"""One gift card over HTTP: asked for, and opened."""

from typing import Any
from uuid import UUID

from flask import Response, jsonify, url_for
from marshmallow import Schema, fields

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM, Scope, client
from pipelines.access.permissions import Permission
from pipelines.access.principals import Principal
from pipelines.access.rate_policies import Policy
from pipelines.approvals.approvals import approval_row
from pipelines.audit.record import REASON_CHARACTERS_MAX
from pipelines.errors import NotFound
from pipelines.provisioning.campaigns import client_of_campaign, client_of_provision
from pipelines.provisioning.recipients import DeliveryMethod
from pipelines.provisioning.replace_approval import replace_or_ask
from pipelines.provisioning.reveal import OpenedCard, facts_by_token, reveal
from pipelines.provisioning.reveal_link import NotTheRecipient, Proof, open_by_link, proof_needed
from pipelines.provisioning.single import SingleRequest, submit_single
from web.admission import canonical, mark_replay, request_key
from web.api.approvals import view as approval_view
from web.api.job_schemas import Job
from web.api.routes import IDEMPOTENCY_KEY, PREFER, Routes, answers, documented, may_read, reads
from web.fields import Flag, Identity, Minor, Secret, Text, one_of
from web.front import front
from web.guards import enter, freshly_proven, permitted, principal, public
from web.humans import humans_only
from web.jobs_shown import accepted
from web.misses import looking_up, misses
from web.rate_limits import limited
from web.ringing import ring_single

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
            "to no address may need `phone_last4` or `redemption_code` instead; `needs` of the "
            "refusal names it."
        },
    )
    phone_last4 = Secret(longest=16, load_default=None, allow_none=True)
    redemption_code = Secret(longest=64, load_default=None, allow_none=True)


class DefectBody(Schema):
    reason = Text(
        longest=REASON_CHARACTERS_MAX,
        required=True,
        metadata={"description": "Your words for the audit log; no card numbers."},
    )
    ask_approval = Flag(
        load_default=False,
        metadata={"description": "For a further card: let it wait for a second person."},
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
    ring_single(done.task_id)
    return accepted(caller, done.job_id, is_replay=done.is_replay)


@routes.post("/gift-cards/<uuid:redemption_id>/report-defective")
@permitted(Permission.CARDS_REPLACE)
@limited(Policy.SUBMIT)
@reads(DefectBody)
@documented(parameters=[IDEMPOTENCY_KEY, PREFER])
@answers(200, Job)
@answers(202, Job)
def report_defective_card(body: dict[str, Any], redemption_id: UUID) -> Response:
    """Replace a card that does not work: the same value to the same recipient, charged no second time.

    The old link dies. Reporting a card again gives the same replacement. A further card for one
    recipient is 409 `replacement_limit`; with `ask_approval` it waits for a second person, and the
    answer is the approval.
    """
    house, caller = front().house, principal()
    key = request_key(caller, canonical(body))
    with scoped_transaction(house.sessions, caller.scope) as session:
        scope = client(client_of_provision(session, redemption_id))
    with scoped_transaction(house.sessions, scope) as session:
        done, task_id = replace_or_ask(
            session,
            caller,
            redemption_id,
            reason=body["reason"],
            ask_approval=body["ask_approval"],
            key=key,
            limits=house.limits,
            now=clock.now(session),
        )
        if done.resource_kind == "approval":
            approval = approval_row(session, done.resource_id)
            answer = _asked(approval_view(approval, clock.now(session)))
            return mark_replay(answer, is_replay=done.is_replay)
    ring_single(task_id)
    return accepted(caller, done.resource_id, is_replay=done.is_replay)


def _asked(approval: dict[str, Any]) -> Response:
    response = jsonify(approval)
    response.status_code = 202
    response.headers["Location"] = url_for("approvals.get_approval", approval_id=approval["id"])
    return response


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
        card = _opened_by_link(redemption_id, token, body)
    response = jsonify(_laid_open(card))
    response.headers["Cache-Control"] = "no-store"
    return response


def client_scope(caller: Principal, campaign_id: UUID) -> Scope:
    """The scope of the campaign's client; `NotFound` for a campaign beyond the caller's own."""
    if caller.client_id is not None:
        return caller.scope
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        return client(client_of_campaign(session, campaign_id))


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


def _opened_by_link(redemption_id: UUID, token: str, body: dict[str, Any]) -> OpenedCard:
    """The same question as the link's page asks (EC-079)."""
    house = front().house
    with looking_up(token), scoped_transaction(house.sessions, SYSTEM) as session:
        facts = facts_by_token(session, token, house.settings.keyring)
        if facts.provision_id != redemption_id:
            raise NotFound
        proof = proof_needed(session, redemption_id)
    answer = "" if proof is Proof.NONE else body[proof.value] or ""
    if proof is not Proof.NONE and not answer.strip():  # no try, and not counted as one
        raise NotTheRecipient(proof)
    with scoped_transaction(house.sessions, client(facts.client_id)) as session:
        card = open_by_link(
            session,
            redemption_id,
            answer,
            person_secret=house.person_secret,
            keyring=house.settings.keyring,
            now=clock.now(session),
        )
    if card is None:  # said only here, for the try has to stay written
        raise NotTheRecipient(proof)
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
