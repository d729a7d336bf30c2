"""Cards in no pool over HTTP: what lies there, and a buffer that adopts what undos gave back."""

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, fields
from sqlalchemy import Row

from models.database import scoped_transaction
from pipelines.access.permissions import Permission
from pipelines.pools.read import FAR_DAY, read_pool
from pipelines.pools.without_pool import adopt_cards, list_without_pool
from pipelines.queue.keys import once
from web.admission import canonical, mark_replay, offered_key
from web.api.gift_card_pools import Pool
from web.api.routes import MAY_HAVE_KEY, Routes, answers, asks, documented, reads
from web.fields import PageQuery
from web.front import front
from web.guards import permitted, principal
from web.pages import id_cursor, listed

routes = Routes("cards-without-pool", "Bought cards that came back and are in no pool.")


class Adoption(Schema):
    """No field is taken."""


class CardWithoutPool(Schema):
    id = fields.UUID()
    last4 = fields.String()
    brand_id = fields.UUID()
    brand = fields.String()
    denomination_minor = fields.Integer()
    currency = fields.String()
    expires_on = fields.Date(allow_none=True)
    cost_minor = fields.Integer(
        allow_none=True, metadata={"description": "Only for who may see costs, as its currency."}
    )
    cost_currency = fields.String(allow_none=True)
    since = fields.DateTime()
    reason = fields.String(
        metadata={
            "description": "`given_back` by an undo: a buffer pool adopts it. Anything else is the "
            "code of its order, which waits for a person: the card was not ordered so."
        }
    )
    undone_job_id = fields.UUID(allow_none=True, metadata={"description": "The undo's."})
    order_id = fields.UUID()
    vendor = fields.String()


class CardWithoutPoolPage(Schema):
    data = fields.List(fields.Nested(CardWithoutPool))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


@routes.get("/cards/without-pool")
@permitted(Permission.VENDORS_READ)
@asks(PageQuery)
@answers(200, CardWithoutPoolPage)
def list_cards_without_pool(query: dict[str, Any]) -> Response:
    """Cards in no pool, newest first: by an undo, or sent by a vendor in another way than ordered."""
    caller, limit = principal(), query["limit"]
    before = id_cursor(query)
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        found = list_without_pool(session, before=before, limit=limit + 1)
    view = partial(_card, sees_costs=caller.sees_costs)
    return listed(found, limit=limit, view=view, place=lambda card: card.id)


@routes.post("/gift-card-pools/<uuid:pool_id>/adopt")
@permitted(Permission.POOLS_REFILL)
@reads(Adoption)
@documented(parameters=[MAY_HAVE_KEY])
@answers(200, Pool)
def adopt_into_gift_card_pool(body: dict[str, Any], pool_id: UUID) -> Response:
    """Put cards that undos gave back, and that fit this buffer, on its stock; 20,000 at a time."""
    sessions, caller = front().house.sessions, principal()
    key = offered_key(caller, canonical(body))
    with scoped_transaction(sessions, caller.scope) as session:

        def adopted() -> UUID:
            adopt_cards(session, pool_id, actor_id=caller.actor_id)
            return pool_id

        done = once(session, key, adopted, status=200, resource_kind="card_pool")
    pool = read_pool(sessions, caller.scope, pool_id)
    answer = jsonify(pool.as_json(sees_costs=caller.sees_costs))
    return mark_replay(answer, is_replay=done.is_replay)


def _card(row: Row[Any], *, sees_costs: bool) -> dict[str, Any]:
    return {
        "id": row.id,
        "last4": row.last4,
        "brand_id": row.brand_id,
        "brand": row.brand,
        "denomination_minor": row.denomination_minor,
        "currency": row.currency,
        "expires_on": None if row.expires_on == FAR_DAY else row.expires_on,
        "cost_minor": row.cost_minor if sees_costs else None,
        "cost_currency": row.cost_currency if sees_costs else None,
        "since": row.since,
        "reason": row.reason,
        "undone_job_id": row.undone_job_id,
        "order_id": row.order_id,
        "vendor": row.vendor,
    }
