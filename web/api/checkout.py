"""Checkout over HTTP: a page at Stripe on which a cart is paid, and what becomes of the purchase."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from uuid import UUID

from flask import Response, jsonify, url_for
from marshmallow import Schema, ValidationError, fields, validates_schema
from sqlalchemy import Row
from sqlalchemy.orm import Session

from models import clock
from models.database import scoped_transaction, transaction
from models.payments import PaymentState
from models.scope import client, tenant_scope
from pipelines.access.permissions import Permission
from pipelines.checkout import settle
from pipelines.checkout.begin import Begun, Wanted, begin_checkout
from pipelines.checkout.end import end_purchase
from pipelines.checkout.read import WantedPurchases, purchase_json, read_purchase
from pipelines.checkout.read import list_purchases as read_purchases
from pipelines.checkout.returned import units_back
from pipelines.discounts.customers import known_customer
from pipelines.discounts.refusals import CartChanged, CartPaid, PaymentUnderWay
from pipelines.discounts.release import BeingPaid
from pipelines.payments.read import disputes_of, refunds_of
from pipelines.queue.keys import once
from web.admission import canonical, mark_replay, request_key
from web.api.purchase_schemas import (
    AmountAccepted,
    BegunPurchase,
    PurchasePage,
    PurchasesQuery,
    RefundBody,
    WholePurchase,
)
from web.api.return_address import ReturnAddress
from web.api.routes import IDEMPOTENCY_KEY, Routes, answers, asks, documented, reads
from web.api.shop_schemas import ShopCart, ShopCustomer, cart_of, customer_of
from web.fields import Identity
from web.front import front
from web.guards import permitted, principal
from web.pages import id_cursor, listed
from web.tenant_choice import client_asked_for

routes = Routes("checkout", "Purchases: begun here, paid at Stripe, and followed to their end.")


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
    client_id = client_asked_for(house.sessions, caller, body["client_id"])
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

    A unit comes back once: `already_returned` says how many of its line are left.
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
    """Begin it; a page on which the cart could be paid at another price is ended before.

    Was it paid by then, no other page is begun: `CartPaid`, unless it is the purchase that is asked for.
    """
    house = front().house
    pages = house.paying.pages

    def attempt(paid: UUID | None = None) -> Begun | CartChanged:
        with tenant_scope(client(client_id)), transaction(house.sessions) as session:
            done = begin(session, followers=pages.followers, now=clock.now(session))
            if paid is not None and isinstance(done, Begun) and done.is_new:
                raise CartPaid(paid)
            return done

    try:
        done = attempt()
    except BeingPaid as paying:
        state = end_purchase(pages, client_id)(paying.purchase_id, paying.reason)
        try:
            done = attempt(paying.purchase_id if state is PaymentState.SUCCEEDED else None)
        except BeingPaid:
            raise PaymentUnderWay from None
    if isinstance(done, CartChanged):
        raise done
    return done


def _whole(session: Session, purchase_id: UUID) -> dict[str, Any]:
    shown = purchase_json(read_purchase(session, purchase_id))
    return shown | {
        "returned": _units(units_back(session, purchase_id)),
        "refunds": [_refund(row) for row in refunds_of(session, purchase_id)],
        "disputes": [dict(row._mapping) for row in disputes_of(session, purchase_id)],
    }


def _refund(row: Row[Any]) -> dict[str, Any]:
    told = dict(row._mapping)
    return told | {"lines": _units({int(line): n for line, n in (told.pop("units") or {}).items()})}


def _units(units: Mapping[int, int]) -> list[dict[str, int]]:
    return [{"line": line, "quantity": units[line]} for line in sorted(units)]
