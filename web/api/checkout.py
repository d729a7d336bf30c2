"""Checkout over HTTP: a page at Stripe on which a cart is paid, and what becomes of the purchase."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from flask import Response, jsonify, url_for
from marshmallow import Schema, ValidationError, fields, validate, validates_schema
from sqlalchemy.orm import Session

from models import clock
from models.database import scoped_transaction, transaction
from models.payments import RefundState
from models.scope import client, tenant_scope
from pipelines.access.permissions import Permission
from pipelines.checkout import settle
from pipelines.checkout.begin import Begun, Wanted, begin_checkout
from pipelines.checkout.end import end_purchase
from pipelines.checkout.read import (
    STATES,
    WantedPurchases,
    purchase_json,
    read_purchase,
)
from pipelines.checkout.read import list_purchases as read_purchases
from pipelines.discounts.cart import LINES_MAX, QUANTITY_MAX
from pipelines.discounts.customers import known_customer
from pipelines.discounts.refusals import CartChanged, PaymentUnderWay
from pipelines.discounts.release import BeingPaid
from pipelines.payments.read import disputes_of, refunds_of
from pipelines.queue.keys import once
from web.admission import canonical, mark_replay, request_key
from web.api.return_address import ReturnAddress
from web.api.routes import IDEMPOTENCY_KEY, Routes, answers, asks, documented, reads
from web.api.shop_schemas import (
    APPLIED_CODES,
    ShopCart,
    ShopCustomer,
    ShopQuote,
    cart_of,
    customer_of,
)
from web.fields import Count, Flag, Identity, Minor, PageQuery, Text, one_of
from web.front import front
from web.guards import permitted, principal
from web.pages import id_cursor, listed
from web.tenant_choice import chosen_client

routes = Routes("checkout", "Purchases: begun here, paid at Stripe, and followed to their end.")
LINE_PLACE = "Its place in the purchase's `quote.lines`; the first is 0."
SETTLED = {"description": "Why, in your own words; kept in the audit log."}


class CheckoutBody(Schema):
    """A reservation, or a cart, or both: the reservation's cart as it is now."""

    reservation_id = Identity(load_default=None, allow_none=True)
    cart = fields.Nested(ShopCart, load_default=None, allow_none=True)
    customer = fields.Nested(
        ShopCustomer,
        load_default=None,
        allow_none=True,
        metadata={
            "description": "Their `email` stands on Stripe's page, so that they need not type it."
        },
    )
    success_url = ReturnAddress(
        required=True,
        metadata={"description": "`{CHECKOUT_SESSION_ID}` in it becomes the page's id."},
    )
    cancel_url = ReturnAddress(required=True)
    client_id = Identity(
        load_default=None, metadata={"description": "Of which client, for who sees several."}
    )

    @validates_schema
    def _says_what(self, data: dict[str, Any], **_: Any) -> None:
        if data.get("reservation_id") is None and data.get("cart") is None:
            raise ValidationError("required|Give `reservation_id` or `cart`.", "reservation_id")
        if data.get("reservation_id") is None and data.get("customer") is None:
            raise ValidationError("required|Say who buys the cart.", "customer")


class Purchase(Schema):
    id = fields.UUID()
    client_id = fields.UUID()
    state = fields.String(validate=validate.OneOf(STATES))
    reservation_id = fields.UUID(allow_none=True)
    discount_id = fields.UUID(
        allow_none=True, metadata={"description": "Its first code; `codes` has all."}
    )
    codes = APPLIED_CODES
    cart_id = fields.String()
    user_id = fields.UUID(allow_none=True)
    quote = fields.Nested(ShopQuote)
    amount_minor = fields.Integer()
    currency = fields.String()
    paid_minor = fields.Integer(allow_none=True)
    paid_currency = fields.String(allow_none=True)
    refunded_minor = fields.Integer()
    is_disputed = fields.Boolean()
    is_late = fields.Boolean(metadata={"description": "Paid when its slot had been given back."})
    is_overflow = fields.Boolean(
        metadata={"description": "And no other was free: it counts beside the limit."}
    )
    review = fields.String(allow_none=True, metadata={"description": "Why a person has to look."})
    refused = fields.String(
        allow_none=True,
        metadata={"description": "Why the money is paid back: it confirms nothing."},
    )
    last_failure_code = fields.String(allow_none=True)
    session_id = fields.String(allow_none=True)
    checkout_url = fields.String(allow_none=True)
    expires_at = fields.DateTime(allow_none=True)
    created_at = fields.DateTime()
    ended_at = fields.DateTime(allow_none=True)


class BegunPurchase(Purchase):
    purchase_id = fields.UUID()


class RefundShown(Schema):
    id = fields.UUID()
    refund_id = fields.String(allow_none=True, metadata={"description": "Stripe's."})
    state = fields.String(validate=validate.OneOf(list(RefundState)))
    amount_minor = fields.Integer()
    reason = fields.String()
    failure_code = fields.String(allow_none=True)
    created_by = fields.UUID(allow_none=True)
    created_at = fields.DateTime()


class DisputeShown(Schema):
    dispute_id = fields.String()
    status = fields.String()
    amount_minor = fields.Integer()
    reason = fields.String()
    as_of = fields.DateTime()
    created_at = fields.DateTime()


class WholePurchase(Purchase):
    refunds = fields.List(fields.Nested(RefundShown))
    disputes = fields.List(fields.Nested(DisputeShown))


class PurchasePage(Schema):
    data = fields.List(fields.Nested(Purchase))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


class PurchasesQuery(PageQuery):
    state = fields.String(load_default=None, validate=one_of(*STATES))
    discount_id = Identity(load_default=None)
    client_id = Identity(load_default=None)
    disputed = Flag(in_text=True, load_default=False)


class ReturnedLine(Schema):
    line = Count(low=0, high=LINES_MAX - 1, required=True, metadata={"description": LINE_PLACE})
    quantity = Count(low=1, high=QUANTITY_MAX, required=True)


class RefundBody(Schema):
    """Of all that is left, of an amount, or of what was returned."""

    amount_minor = Minor(load_default=None, metadata={"description": "All of it, if left out."})
    lines = fields.List(
        fields.Nested(ReturnedLine),
        load_default=None,
        metadata={"description": "What was returned: each at what was paid for it, its tax too."},
        validate=validate.Length(min=1, max=LINES_MAX, error="length|Name a line."),
    )
    reason = Text(required=True, longest=200, metadata=SETTLED)

    @validates_schema
    def _says_one_thing(self, data: dict[str, Any], **_: Any) -> None:
        if data.get("amount_minor") is not None and data.get("lines") is not None:
            raise ValidationError("conflict|Give `amount_minor` or `lines`.", "lines")


class AmountAccepted(Schema):
    reason = Text(required=True, longest=200, metadata=SETTLED)


@routes.post("/checkout")
@permitted(Permission.CHECKOUT)
@reads(CheckoutBody)
@answers(200, BegunPurchase)
@answers(201, BegunPurchase)
def check_out(body: dict[str, Any]) -> Response:
    """Have a reservation or a cart paid on a page of Stripe's: send the shopper to `checkout_url`.

    A cart has one purchase that can be paid: sent again it is the same one (200), changed it is
    priced anew, and the page of the old price is ended. What costs nothing is confirmed at once and
    has no page. After 503 send the same again: nothing is paid twice.
    """
    house, caller = front().house, principal()
    with scoped_transaction(house.sessions, caller.scope) as session:
        client_id = chosen_client(session, caller, body["client_id"])
    with scoped_transaction(house.sessions, client(client_id)) as session:
        wanted = _wanted(session, client_id, body)
    begun = _begun(client_id, partial(begin_checkout, wanted=wanted, actor_id=caller.actor_id))
    with scoped_transaction(house.sessions, client(client_id)) as session:
        row = read_purchase(session, begun.purchase_id)
    if row.payment_state == "open":
        with tenant_scope(client(client_id)):
            house.paying.pages.open(begun.purchase_id, payer=_payer(body))
        with scoped_transaction(house.sessions, client(client_id)) as session:
            row = read_purchase(session, begun.purchase_id)
    response = jsonify({"purchase_id": row.id} | purchase_json(row))
    response.status_code = 201 if begun.is_new else 200
    response.headers["Location"] = url_for("checkout.get_purchase", purchase_id=row.id)
    return mark_replay(response, is_replay=not begun.is_new)


@routes.get("/purchases")
@permitted(Permission.PURCHASES_READ)
@asks(PurchasesQuery)
@answers(200, PurchasePage)
def list_purchases(query: dict[str, Any]) -> Response:
    """Purchases that you see, newest first."""
    wanted = WantedPurchases(
        client_id=query["client_id"],
        discount_ids=query["discount_id"] and [query["discount_id"]],
        state=query["state"],
        is_disputed=query["disputed"],
    )
    limit, before = query["limit"], id_cursor(query)
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        rows = read_purchases(session, wanted, before=before, limit=limit + 1)
    return listed(rows, limit=limit, view=purchase_json, place=lambda row: row.id)


@routes.get("/purchases/<uuid:purchase_id>")
@permitted(Permission.PURCHASES_READ)
@answers(200, WholePurchase)
def get_purchase(purchase_id: UUID) -> Response:
    """One purchase with what was paid back of it, or is disputed."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        return jsonify(_whole(session, purchase_id))


@routes.post("/purchases/<uuid:purchase_id>/refunds")
@permitted(Permission.PURCHASES_SETTLE)
@reads(RefundBody)
@documented(parameters=[IDEMPOTENCY_KEY])
@answers(201, WholePurchase)
def refund_purchase(body: dict[str, Any], purchase_id: UUID) -> Response:
    """Pay a purchase back, whole or in part; 409 `nothing_to_refund` for more than is left of it.

    What a whole refund gives back of the code is said by its `restore_on_refund`.
    """
    caller = principal()
    key = request_key(caller, canonical(body | {"purchase_id": str(purchase_id)}))
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        make = partial(
            settle.refund_purchase,
            session,
            purchase_id,
            amount_minor=body["amount_minor"],
            returned=[(one["line"], one["quantity"]) for one in body["lines"] or ()],
            reason=body["reason"],
            actor_id=caller.actor_id,
            now=clock.now(session),
        )
        done = once(session, key, make, status=201, resource_kind="purchase")
        response = jsonify(_whole(session, purchase_id))
    response.status_code = 201
    return mark_replay(response, is_replay=done.is_replay)


@routes.post("/purchases/<uuid:purchase_id>/accept")
@permitted(Permission.PURCHASES_SETTLE)
@reads(AmountAccepted)
@answers(200, WholePurchase)
def accept_amount(body: dict[str, Any], purchase_id: UUID) -> Response:
    """Take another amount than was asked for: what waits for a person is confirmed by it."""
    house, caller = front().house, principal()
    with scoped_transaction(house.sessions, caller.scope) as session:
        settle.accept_purchase(
            session,
            purchase_id,
            reason=body["reason"],
            followers=house.paying.pages.followers,
            actor_id=caller.actor_id,
            now=clock.now(session),
        )
        return jsonify(_whole(session, purchase_id))


def _wanted(session: Session, client_id: UUID, body: dict[str, Any]) -> Wanted:
    secret, who = front().house.person_secret, body["customer"]
    return Wanted(
        client_id=client_id,
        reservation_id=body["reservation_id"],
        cart=None if body["cart"] is None else cart_of(body["cart"]),
        customer=None
        if who is None
        else known_customer(session, client_id, customer_of(who), secret),
        success_url=body["success_url"],
        cancel_url=body["cancel_url"],
        can_charge=front().house.paying.door is not None,
    )


def _payer(body: dict[str, Any]) -> str | None:
    """The address that the shopper need not type on the page, if the storefront said one."""
    who: dict[str, Any] = body["customer"] or {}
    return who.get("email")


def _begun(client_id: UUID, begin: Callable[..., Begun | CartChanged]) -> Begun:
    """Begin it; a page on which the cart could be paid at another price is ended before."""
    house = front().house
    pages = house.paying.pages

    def attempt() -> Begun | CartChanged:
        with tenant_scope(client(client_id)), transaction(house.sessions) as session:
            return begin(session, followers=pages.followers, now=clock.now(session))

    try:
        done = attempt()
    except BeingPaid as paying:
        end_purchase(pages, client_id)(paying.purchase_id, paying.reason)
        try:
            done = attempt()
        except BeingPaid:
            raise PaymentUnderWay from None
    if isinstance(done, CartChanged):
        raise done
    return done


def _whole(session: Session, purchase_id: UUID) -> dict[str, Any]:
    shown = purchase_json(read_purchase(session, purchase_id))
    return shown | {
        "refunds": [dict(row._mapping) for row in refunds_of(session, purchase_id)],
        "disputes": [dict(row._mapping) for row in disputes_of(session, purchase_id)],
    }
