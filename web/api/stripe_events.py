"""What Stripe tells us: taken in at once, handled behind it, listed, and handled once more."""

import time
from typing import Any

from flask import Response, jsonify, request
from marshmallow import Schema, fields, validate

from models import clock
from models.database import scoped_transaction
from models.payments import EventState
from models.scope import SYSTEM
from pipelines.access.permissions import Permission
from pipelines.access.rate_policies import Policy
from pipelines.payments.handle import replay_event
from pipelines.payments.inbox import (
    InvalidPayload,
    TypedEvent,
    event_of,
    read_event,
    take_event,
)
from pipelines.payments.read_events import EventPlace, list_events, read_event_row
from pipelines.payments.signature import signed_with
from pipelines.providers.stripe_answers import Told
from pipelines.queue.defer import note_doorbells
from web.api.routes import Routes, answers, asks, documented
from web.api.webhooks import InvalidSignature
from web.fields import PageQuery, Text, one_of
from web.front import front
from web.guards import permitted, principal, public
from web.pages import InvalidCursor, listed, text_cursor
from web.rate_limits import limited

routes = Routes("stripe-events", "Events of Stripe's: each has its effects once.")
#: Stripe's events are smaller than half of it.
EVENT_BYTES_MAX = 512 * 1024


class ToldEvent(Schema):
    """An event as Stripe sends it; what is not named here is not read."""

    id = fields.String()
    object = fields.String()
    type = fields.String()
    created = fields.Integer()
    livemode = fields.Boolean()
    data = fields.Dict(keys=fields.String())


class Taken(Schema):
    received = fields.Boolean()
    duplicate = fields.Boolean()


class StripeEventShown(Schema):
    id = fields.String()
    type = fields.String()
    object_id = fields.String(allow_none=True)
    state = fields.String(validate=validate.OneOf(list(EventState)))
    payment_id = fields.UUID(allow_none=True)
    purpose = fields.String(allow_none=True)
    livemode = fields.Boolean()
    account = fields.String(allow_none=True)
    happened_at = fields.DateTime(metadata={"description": "By Stripe's clock."})
    received_at = fields.DateTime()
    was_pulled = fields.Boolean(metadata={"description": "Nobody told us; we asked."})
    secret_place = fields.Integer(
        allow_none=True, metadata={"description": "Of our signing secrets; 0 is the newest."}
    )
    deliveries = fields.Integer()
    tries = fields.Integer()
    handled_at = fields.DateTime(allow_none=True)


class StripeEventPage(Schema):
    data = fields.List(fields.Nested(StripeEventShown))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


class EventsQuery(PageQuery):
    state = fields.String(load_default=None, validate=one_of(*EventState))
    type = Text(longest=255, load_default=None)


@routes.post("/webhooks/stripe")
@public
@limited(Policy.RECEIPT)
@documented(requestBody={"content": {"application/json": {"schema": ToldEvent}}}, security=[])
@answers(200, Taken)
def take_stripe_event() -> Response:
    """An event, signed by Stripe with `Stripe-Signature`; 200 once it is written down.

    The same event again is 200 with `duplicate`, and has no effect.
    """
    request.max_content_length = EVENT_BYTES_MAX
    body, house = request.get_data(cache=False), front().house
    paying = house.paying
    given = request.headers.get("Stripe-Signature", "")
    place = signed_with(given, body, paying.secrets, now=time.time())
    if place is None:
        raise InvalidSignature("The signature does not fit: check STRIPE_WEBHOOK_SECRETS.")
    event = read_event(body, paying.reading)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        noted = note_doorbells(session)
        is_new = take_event(session, event, secret_place=place, now=clock.now(session))
    front().broker.ring(noted.doorbells)
    return jsonify({"received": True, "duplicate": not is_new})


@routes.get("/webhooks/events")
@permitted(Permission.QUEUES_READ)
@asks(EventsQuery)
@answers(200, StripeEventPage)
def list_stripe_events(query: dict[str, Any]) -> Response:
    """Events that Stripe told us of, youngest first: what each did, and which wait."""
    state = query["state"]
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        rows = list_events(
            session,
            state=None if state is None else EventState(state),
            kind=query["type"],
            before=_place(query),
            limit=query["limit"] + 1,
        )
    return listed(
        rows,
        limit=query["limit"],
        view=lambda row: dict(row._mapping),
        place=lambda row: str(EventPlace.of(row)),
    )


@routes.post("/webhooks/events/<string:event_id>/replay")
@permitted(Permission.QUEUES_CONTROL)
@answers(200, StripeEventShown)
def replay_stripe_event(event_id: str) -> Response:
    """Handle an event once more; what is known already changes nothing.

    It is read anew at Stripe, which keeps events for thirty days; if Stripe cannot be asked, as it was.
    """
    anew = _anew(event_id)
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        noted = note_doorbells(session)
        actor_id, now = principal().actor_id, clock.now(session)
        replay_event(session, event_id, actor_id=actor_id, now=now, anew=anew)
        shown = dict(read_event_row(session, event_id)._mapping)
    front().broker.ring(noted.doorbells)
    return jsonify(shown)


def _place(query: dict[str, Any]) -> EventPlace | None:
    """Where the page before ended; raises `InvalidCursor`."""
    try:
        text = text_cursor(query)
        return None if text is None else EventPlace.parse(text)
    except ValueError:
        raise InvalidCursor from None


def _anew(event_id: str) -> TypedEvent | None:
    """The event as Stripe says it now; None if it cannot say, or says another."""
    paying = front().house.paying
    answer = None if paying.door is None else paying.door.event(event_id)
    if not isinstance(answer, Told):
        return None
    try:
        event = event_of(dict(answer.thing), paying.reading)
    except InvalidPayload:
        return None
    return event if event.id == event_id and event.state is EventState.RECEIVED else None
