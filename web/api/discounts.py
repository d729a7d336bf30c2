"""Discount codes over HTTP: made, listed, changed, paused, resumed and put away."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from flask import Response
from sqlalchemy.orm import Session

from models import clock
from models.database import scoped_transaction
from models.discounts import CodeState
from pipelines.access.permissions import Permission
from pipelines.discounts.change import change_discount as change
from pipelines.discounts.change import move_discount
from pipelines.discounts.create import NewDiscount
from pipelines.discounts.create import create_discount as create
from pipelines.discounts.customers import known_customer
from pipelines.discounts.options import options_in
from pipelines.discounts.read import (
    CodeView,
    Standing,
    Wanted,
    beginning,
    list_codes,
    read_code,
)
from pipelines.discounts.rules import DiscountRules
from pipelines.discounts.stored_rules import RULE_NAMES, rule_from, rules_from
from pipelines.queue.keys import once
from web.admission import canonical, mark_replay, offered_key
from web.api.discount_schemas import (
    Discount,
    DiscountBody,
    DiscountChange,
    DiscountPage,
    DiscountsQuery,
)
from web.api.routes import IF_MATCH, MAY_HAVE_KEY, Routes, answers, asks, documented, reads
from web.api.shop_schemas import customer_of
from web.discount_reports import sees_codes
from web.front import front
from web.guards import permitted, principal
from web.pages import id_cursor, insisted_version, listed, with_version
from web.tenant_choice import chosen_client

routes = Routes(
    "discounts", "Discount codes: one text, rules in versions, and how often it is used."
)


@routes.post("/discounts")
@permitted(Permission.DISCOUNTS_MANAGE)
@reads(DiscountBody)
@documented(parameters=[MAY_HAVE_KEY])
@answers(201, Discount)
def create_discount(body: dict[str, Any]) -> Response:
    """Make a discount code; 409 `code_exists` if the client has this text already.

    With `assigned_to` it is for one customer alone; 404 `user_not_found` for an `id` of nobody whom
    the client knows.
    """
    caller, secret = principal(), front().house.person_secret
    key = offered_key(caller, canonical(body))
    with scoped_transaction(front().house.sessions, caller.scope) as session:

        def make() -> UUID:
            client_id = chosen_client(session, caller, body["client_id"])
            whom = body.get("assigned_to")
            new = NewDiscount(
                client_id,
                body["code"],
                rules_in(body),
                max_uses=body.get("max_uses"),
                max_uses_per_customer=body["max_uses_per_customer"],
                options=options_in(body),
                assigned_to=whom and known_customer(session, client_id, customer_of(whom), secret),
            )
            return create(session, new, actor_id=caller.actor_id)

        done = once(session, key, make, status=201, resource_kind="discount")
        shown = _shown(session, done.resource_id)
    return mark_replay(with_version(shown, 201), is_replay=done.is_replay)


@routes.get("/discounts")
@permitted(Permission.DISCOUNTS_READ)
@asks(DiscountsQuery)
@answers(200, DiscountPage)
def list_discounts(query: dict[str, Any]) -> Response:
    """List discount codes, newest first."""
    limit, before = query["limit"], id_cursor(query)
    standing = query["standing"] and Standing(query["standing"])
    wanted = Wanted(standing, beginning(query["code"]), query["client_id"], query["batch_id"])
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        now = clock.now(session)
        codes = list_codes(
            session, wanted, now=now, before=before, limit=limit + 1, opens=sees_codes()
        )
    return listed(codes, limit=limit, view=CodeView.as_json, place=lambda code: code.row.id)


@routes.get("/discounts/<uuid:discount_id>")
@permitted(Permission.DISCOUNTS_READ)
@answers(200, Discount)
def get_discount(discount_id: UUID) -> Response:
    """One discount code; its ETag is what a change must name."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        return with_version(_shown(session, discount_id))


@routes.patch("/discounts/<uuid:discount_id>")
@permitted(Permission.DISCOUNTS_MANAGE)
@reads(DiscountChange)
@documented(parameters=[IF_MATCH])
@answers(200, Discount)
def change_discount(body: dict[str, Any], discount_id: UUID) -> Response:
    """Change rules or limits; `If-Match` says which version you read.

    What is reserved keeps its price. A limit below what is used is 409 `limit_below_usage`.
    """
    version = insisted_version()
    values = {name: rule_from(name, value) for name, value in body.items()}
    return _moved(discount_id, partial(change, values=values, version=version))


@routes.post("/discounts/<uuid:discount_id>/pause")
@permitted(Permission.DISCOUNTS_MANAGE)
@documented(parameters=[MAY_HAVE_KEY])
@answers(200, Discount)
def pause_discount(discount_id: UUID) -> Response:
    """Take no new reservations; those that are there may be paid."""
    return _moved(discount_id, partial(move_discount, state=CodeState.PAUSED), is_keyed=True)


@routes.post("/discounts/<uuid:discount_id>/resume")
@permitted(Permission.DISCOUNTS_MANAGE)
@documented(parameters=[MAY_HAVE_KEY])
@answers(200, Discount)
def resume_discount(discount_id: UUID) -> Response:
    """Take new reservations again."""
    return _moved(discount_id, partial(move_discount, state=CodeState.ACTIVE), is_keyed=True)


@routes.delete("/discounts/<uuid:discount_id>")
@permitted(Permission.DISCOUNTS_MANAGE)
@answers(200, Discount)
def archive_discount(discount_id: UUID) -> Response:
    """Put a code away for good: `draining` while somebody is about to pay with it, then `archived`.

    It keeps its text and its history.
    """
    return _moved(discount_id, partial(move_discount, state=CodeState.ARCHIVED))


def rules_in(body: dict[str, Any]) -> DiscountRules:
    """What a code does, by the body that says it."""
    is_first = body.get("first_order_only", False)
    return rules_from(
        {name: body.get(name) for name in RULE_NAMES} | {"first_order_only": is_first}
    )


def _moved(discount_id: UUID, move: Callable[..., None], *, is_keyed: bool = False) -> Response:
    """Do it; a repeat with the same key answers the code as it is now."""
    caller = principal()
    key = offered_key(caller) if is_keyed else None
    with scoped_transaction(front().house.sessions, caller.scope) as session:

        def moved() -> UUID:
            move(session, discount_id, actor_id=caller.actor_id, now=clock.now(session))
            return discount_id

        done = once(session, key, moved, status=200, resource_kind="discount")
        shown = _shown(session, discount_id)
    return mark_replay(with_version(shown), is_replay=done.is_replay)


def _shown(session: Session, discount_id: UUID) -> dict[str, Any]:
    return read_code(session, discount_id, now=clock.now(session), opens=sees_codes()).as_json()
