"""Discount codes over HTTP: made, listed, changed, paused, resumed and put away."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from flask import Response
from marshmallow import Schema, ValidationError, fields, validates_schema
from sqlalchemy.orm import Session

from models import clock
from models.database import scoped_transaction
from models.discounts import CodeState, OnLate, Restores
from pipelines.access.permissions import Permission
from pipelines.discounts.cart import SKU_CHARACTERS_MAX, UNIT_MINOR_MAX
from pipelines.discounts.change import change_discount as change
from pipelines.discounts.change import move_discount
from pipelines.discounts.code_rows import PRODUCTS_MAX, USES_MAX
from pipelines.discounts.create import NewDiscount
from pipelines.discounts.create import create_discount as create
from pipelines.discounts.options import options_in
from pipelines.discounts.pricing import WHOLE_BP
from pipelines.discounts.read import (
    CodeView,
    Standing,
    Wanted,
    beginning,
    list_codes,
    read_code,
)
from pipelines.discounts.rules import DiscountKind, DiscountRules
from pipelines.discounts.stored_rules import RULE_NAMES, rules_from
from pipelines.queue.keys import once
from web.admission import canonical, mark_replay, offered_key
from web.api.routes import IF_MATCH, MAY_HAVE_KEY, Routes, answers, asks, documented, reads
from web.fields import Count, Flag, Identity, PageQuery, Stamp, Text, Word, in_years, one_of
from web.front import front
from web.guards import permitted, principal
from web.pages import id_cursor, insisted_version, listed, with_version
from web.tenant_choice import chosen_client

routes = Routes(
    "discounts", "Discount codes: one text, rules in versions, and how often it is used."
)

CODE_CHARACTERS_MAX = 200


def _amount(words: str) -> Count:
    return Count(low=1, high=UNIT_MINOR_MAX, allow_none=True, metadata={"description": words})


class DiscountRulesBody(Schema):
    """What may be changed; null is none. Changed rules are for reservations made from then on."""

    percent_bp = Count(
        low=1,
        high=WHOLE_BP,
        allow_none=True,
        metadata={"description": "Of a percentage, in basis points: 1000 is 10 %."},
    )
    amount_minor = _amount("Of a fixed discount, in minor units of `currency`.")
    currency = Text(
        longest=3, allow_none=True, metadata={"description": "Null: a percentage of any currency."}
    )
    max_discount_minor = _amount("The most that a percentage takes off.")
    min_subtotal_minor = _amount("What the code's products must cost together, as they are priced.")
    products = fields.List(
        Text(longest=SKU_CHARACTERS_MAX),
        allow_none=True,
        metadata={"description": "SKUs that the code is for; null: all."},
    )
    starts_at = Stamp(allow_none=True, validate=in_years)
    expires_at = Stamp(allow_none=True, validate=in_years)
    max_uses = Count(low=1, high=USES_MAX, allow_none=True)
    max_uses_per_customer = Count(low=1, high=USES_MAX, allow_none=True)
    first_order_only = Flag(
        metadata={
            "description": "For a customer's first purchase at this client, by any code or none."
        }
    )
    watch_leaks = Flag(
        metadata={"description": "Whether it is paused by itself where it seems to have leaked."}
    )

    @validates_schema
    def _names_some_products(self, data: dict[str, Any], **_: Any) -> None:
        products = data.get("products")
        if products is None:
            return
        if not products:
            raise ValidationError("required|Name a product, or null for all.", "products")
        if len(products) > PRODUCTS_MAX:
            raise ValidationError(f"too_long|At most {PRODUCTS_MAX} products.", "products")


class NewDiscountRules(DiscountRulesBody):
    kind = fields.String(required=True, validate=one_of(*DiscountKind))
    max_uses_per_customer = Count(low=1, high=USES_MAX, allow_none=True, load_default=1)


class DiscountOptions(Schema):
    """What becomes of refunds and of late payments; it changes at once."""

    restore_on_refund = fields.String(
        validate=one_of(*Restores),
        metadata={
            "description": "What a refund of all gives back: nothing, the slot, or the customer's use too."
        },
    )
    on_late = fields.String(
        validate=one_of(*OnLate),
        metadata={
            "description": "A payment that comes when its slot is gone and no other is free: confirmed beside the limit, or paid back."
        },
    )


class DiscountBody(NewDiscountRules, DiscountOptions):
    code = Text(required=True, longest=CODE_CHARACTERS_MAX)
    client_id = Identity(load_default=None, allow_none=True)


class DiscountChange(DiscountRulesBody, DiscountOptions):
    @validates_schema
    def _says_something(self, data: dict[str, Any], **_: Any) -> None:
        if not data:
            raise ValidationError("required|Give what shall be changed.")


class DiscountsQuery(PageQuery):
    standing = fields.String(load_default=None, validate=one_of(*Standing))
    code = Text(
        longest=CODE_CHARACTERS_MAX,
        load_default=None,
        metadata={"description": "How the code begins."},
    )
    client_id = Identity(load_default=None)
    batch_id = Identity(
        load_default=None, metadata={"description": "Only codes that this job made or imported."}
    )


class Discount(Schema):
    id = fields.UUID()
    agency_id = fields.UUID()
    client_id = fields.UUID()
    batch_id = fields.UUID(
        allow_none=True, metadata={"description": "The job that made it with others."}
    )
    code = fields.String()
    standing = Word(Standing)
    kind = Word(DiscountKind)
    percent_bp = fields.Integer(allow_none=True)
    amount_minor = fields.Integer(allow_none=True)
    currency = fields.String(allow_none=True)
    max_discount_minor = fields.Integer(allow_none=True)
    min_subtotal_minor = fields.Integer(allow_none=True)
    products = fields.List(fields.String(), allow_none=True)
    starts_at = fields.DateTime(allow_none=True)
    expires_at = fields.DateTime(allow_none=True)
    max_uses = fields.Integer(allow_none=True)
    max_uses_per_customer = fields.Integer(allow_none=True)
    first_order_only = fields.Boolean()
    restore_on_refund = Word(Restores)
    on_late = Word(OnLate)
    watch_leaks = fields.Boolean()
    pause_reason = fields.String(
        allow_none=True,
        metadata={"description": "`leak_suspected`, where no person paused it."},
    )
    used = fields.Integer(metadata={"description": "Reserved and paid."})
    reserved = fields.Integer(metadata={"description": "Of these, not paid yet."})
    overflow_uses = fields.Integer(metadata={"description": "Paid after their slot was gone."})
    rules_version = fields.Integer()
    version = fields.Integer()
    created_by = fields.UUID()
    created_at = fields.DateTime()
    updated_at = fields.DateTime()


class DiscountPage(Schema):
    data = fields.List(fields.Nested(Discount))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


@routes.post("/discounts")
@permitted(Permission.DISCOUNTS_MANAGE)
@reads(DiscountBody)
@documented(parameters=[MAY_HAVE_KEY])
@answers(201, Discount)
def create_discount(body: dict[str, Any]) -> Response:
    """Make a discount code; 409 `code_exists` if the client has this text already."""
    caller = principal()
    key = offered_key(caller, canonical(body))
    with scoped_transaction(front().house.sessions, caller.scope) as session:

        def make() -> UUID:
            client_id = chosen_client(session, caller, body["client_id"])
            new = NewDiscount(
                client_id,
                body["code"],
                rules_in(body),
                max_uses=body.get("max_uses"),
                max_uses_per_customer=body["max_uses_per_customer"],
                options=options_in(body),
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
        codes = list_codes(session, wanted, now=now, before=before, limit=limit + 1)
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
    values = body
    if body.get("products") is not None:
        values = body | {"products": tuple(body["products"])}
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
    return read_code(session, discount_id, now=clock.now(session)).as_json()
