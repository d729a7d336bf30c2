"""Codes at the checkout, over HTTP: what one would do, a slot reserved for a cart, and given back."""

from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from ipaddress import ip_address
from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, ValidationError, fields, validate, validates_schema
from sqlalchemy.orm import Session

from models import clock
from models.database import scoped_transaction
from models.discounts import UsageState
from models.scope import client, tenant_scope
from pipelines.access.permissions import Permission
from pipelines.access.rate_policies import Policy
from pipelines.checkout.apply import apply_code
from pipelines.checkout.end import end_purchase
from pipelines.checkout.end import release_reservation as release
from pipelines.checkout.unstack import unstack
from pipelines.currencies import is_accepted
from pipelines.discounts.cart import (
    SUBTOTAL_MINOR_MAX,
    Cart,
    Line,
)
from pipelines.discounts.customers import Customer, KnownCustomer, known_customer
from pipelines.discounts.give_way import reserve_giving_way
from pipelines.discounts.read import quoted_json, read_reservation
from pipelines.discounts.refusals import CartChanged, CodeInvalid
from pipelines.discounts.refused import Times
from pipelines.discounts.release import ReleaseReason
from pipelines.discounts.reserve import Ask, Reserved, has_it_already
from pipelines.discounts.validate import Trial
from pipelines.discounts.validate import validate as look
from pipelines.errors import Refusal
from pipelines.fraud.cards import with_cards
from pipelines.fraud.strangers import note_stranger
from pipelines.fraud.traces import Traces, traces_of
from web.admission import mark_replay
from web.api.routes import CAPTCHA, Routes, answers, asks, documented, reads
from web.api.shop_schemas import (
    APPLIED_CODES,
    ShopCart,
    ShopCustomer,
    ShopQuote,
    cart_of,
    customer_of,
)
from web.client_address import network_of
from web.fields import NO_CURRENCY, Count, Currency, EmailAddress, Identity, Text
from web.front import front
from web.guards import permitted, principal
from web.misses import do_after_answer
from web.refusals import count_refusal, counting_refusals
from web.shoppers import count_try, trying
from web.tenant_choice import client_asked_for

routes = Routes("reservations", "Discount codes at the checkout: one request, one slot of a code.")
CODE_CHARACTERS_MAX = 200
DEVICE_CHARACTERS_MAX = 255
CLIENT = {"description": "Of which client, for who sees several."}
SHOPPER = {
    "description": "The shopper's IP address as your front saw it: tries are counted by its network."
}


class Address(Text):
    """An IP address."""

    default_error_messages = {  # noqa: RUF012 - marshmallow's own shape
        "address": "type|Give an IP address, such as 203.0.113.7.",
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(longest=64, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs)
        try:
            ip_address(text)
        except ValueError:
            raise self.make_error("address") from None
        return text


class Application(Schema):
    code = Text(required=True, longest=CODE_CHARACTERS_MAX)
    cart = fields.Nested(ShopCart, required=True)
    customer = fields.Nested(ShopCustomer, required=True)
    shopper_address = Address(load_default=None, allow_none=True, metadata=SHOPPER)
    device = Text(
        longest=DEVICE_CHARACTERS_MAX,
        load_default=None,
        allow_none=True,
        metadata={
            "description": "What your front tells this shopper's device by; kept as a digest."
        },
    )
    client_id = Identity(load_default=None, metadata=CLIENT)


class ValidationQuery(Schema):
    code = Text(required=True, longest=CODE_CHARACTERS_MAX)
    subtotal_minor = Count(low=0, high=SUBTOTAL_MINOR_MAX, required=True, in_query=True)
    currency = Currency(required=True)
    customer = EmailAddress(
        longest=320,
        load_default=None,
        metadata={"description": "The e-mail address of who would buy."},
    )
    shopper_address = Address(load_default=None, metadata=SHOPPER)
    client_id = Identity(load_default=None, metadata=CLIENT)

    @validates_schema
    def _has_a_currency(self, data: dict[str, Any], **_: Any) -> None:
        if not is_accepted(data["currency"]):
            raise ValidationError(NO_CURRENCY, "currency")


class Reservation(Schema):
    id = fields.UUID()
    code_id = fields.UUID(metadata={"description": "Its first code; `codes` has all."})
    client_id = fields.UUID()
    rules_version = fields.Integer()
    state = fields.String(validate=validate.OneOf([state.value.upper() for state in UsageState]))
    cart_id = fields.String()
    user_id = fields.UUID(allow_none=True)
    expires_at = fields.DateTime()
    release_reason = fields.String(allow_none=True)
    ended_at = fields.DateTime(allow_none=True)
    created_at = fields.DateTime()


class QuotedReservation(Schema):
    reservation = fields.Nested(Reservation)
    codes = APPLIED_CODES
    quote = fields.Nested(ShopQuote)


class Validation(Schema):
    valid = fields.Boolean(metadata={"description": "False, with 200, where it is not good."})
    discount_minor = fields.Integer()
    total_minor = fields.Integer()
    reason = fields.String(
        allow_none=True, metadata={"description": "Why not, as `apply` says it."}
    )
    detail = fields.String(allow_none=True)


@routes.get("/discounts/validate")
@permitted(Permission.DISCOUNTS_APPLY)
@asks(ValidationQuery)
@documented(parameters=[CAPTCHA])
@answers(200, Validation)
def validate_discount(query: dict[str, Any]) -> Response:
    """What a code would take off this amount, before tax; it takes no slot, and promises none."""
    house, caller = front().house, principal()
    named = None if query["customer"] is None else Customer(email=query["customer"])
    tried_by = count_try(
        named,
        query["shopper_address"],
        of_person=Policy.VALIDATE,
        of_shopper=Policy.VALIDATE_FOR,
    )
    cart = Cart("", query["currency"], (Line("", 1, query["subtotal_minor"]),))
    client_id = client_asked_for(house.sessions, caller, query["client_id"])
    customer = None
    try:
        with (
            trying(client_id, query["code"], tried_by),
            scoped_transaction(house.sessions, client(client_id)) as session,
        ):
            if named is not None:
                customer = known_customer(session, client_id, named, house.person_secret)
                customer = with_cards(session, client_id, customer)
            trial = Trial(client_id, query["code"], cart, customer)
            told = look(session, trial, now=clock.now(session), limits=house.limits)
            if isinstance(told, CodeInvalid):
                raise told
    except CodeInvalid as refusal:
        told = refusal
    if isinstance(told, Refusal):
        count_refusal(client_id, query["code"], told, Times(validated=1))
        _tell_of_stranger(client_id, told, customer)
        return jsonify(
            {
                "valid": False,
                "discount_minor": 0,
                "total_minor": query["subtotal_minor"],
                "reason": told.code,
                "detail": told.detail,
            }
        )
    return jsonify(
        {
            "valid": True,
            "discount_minor": told.discount_minor,
            "total_minor": told.total_minor,
            "reason": None,
            "detail": None,
        }
    )


@routes.post("/discounts/apply")
@permitted(Permission.DISCOUNTS_APPLY)
@reads(Application)
@documented(parameters=[CAPTCHA])
@answers(200, QuotedReservation)
@answers(201, QuotedReservation)
def apply_discount(body: dict[str, Any]) -> Response:
    """Reserve a slot of the code for the cart, and price it; 200 for a cart that has it already.

    The slot is kept for 15 minutes. The same cart may be sent again, also changed: its reservation
    is priced anew, by the rules that it was made under. With another code that goes with those it
    has, it is added to the same reservation; with one that does not, 409 `stacking_not_allowed`.
    """
    house, caller = front().house, principal()
    client_id = client_asked_for(house.sessions, caller, body["client_id"])
    named = customer_of(body["customer"])
    with scoped_transaction(house.sessions, client(client_id)) as session:
        ask = _ask(session, client_id, body, named)
        is_kept = has_it_already(session, ask)
    # Whoever changes the cart that the slot is for tries no code.
    looking: AbstractContextManager[None] = nullcontext()
    if not is_kept:
        tried_by = count_try(
            named,
            body["shopper_address"],
            of_person=Policy.APPLY,
            of_shopper=Policy.APPLY_FOR,
        )
        looking = trying(client_id, body["code"], tried_by)

    def attempt(session: Session) -> tuple[Reserved, dict[str, Any]] | CartChanged:
        now = clock.now(session)
        traces = _traces(client_id, body, named, now)
        actor_id, limits = caller.actor_id, house.limits
        done = apply_code(session, ask, traces, actor_id=actor_id, now=now, limits=limits)
        return done if isinstance(done, CartChanged) else (done, _shown(session, done.usage_id))

    end = end_purchase(house.paying.pages, client_id)
    try:
        with counting_refusals(client_id, body["code"]), looking:
            applied = reserve_giving_way(house.sessions, ask, attempt, end)
    except CodeInvalid as refusal:
        _tell_of_stranger(client_id, refusal, ask.customer)
        raise
    if isinstance(applied, CartChanged):
        raise applied
    done, shown = applied
    response = jsonify(shown)
    response.status_code = 201 if done.is_new else 200
    return mark_replay(response, is_replay=done.is_replay)


@routes.get("/reservations/<uuid:reservation_id>")
@permitted(Permission.DISCOUNTS_APPLY)
@answers(200, QuotedReservation)
def get_reservation(reservation_id: UUID) -> Response:
    """A reservation and its price, in whatever state it is."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        return jsonify(_shown(session, reservation_id))


@routes.delete("/reservations/<uuid:reservation_id>")
@permitted(Permission.DISCOUNTS_APPLY)
@answers(200, QuotedReservation)
def release_reservation(reservation_id: UUID) -> Response:
    """Give all its slots back; 409 `reservation_ended` once it was paid.

    A payment page that is open for it is ended first; 503 if Stripe does not answer, and the slot
    stays as it is.
    """
    house, caller = front().house, principal()
    with tenant_scope(caller.scope):
        release(
            house.sessions,
            reservation_id,
            ReleaseReason.CUSTOMER,
            pages=house.paying.pages,
            actor_id=caller.actor_id,
        )
    with scoped_transaction(house.sessions, caller.scope) as session:
        return jsonify(_shown(session, reservation_id))


@routes.delete("/reservations/<uuid:reservation_id>/codes/<uuid:discount_id>")
@permitted(Permission.DISCOUNTS_APPLY)
@answers(200, QuotedReservation)
def remove_code(reservation_id: UUID, discount_id: UUID) -> Response:
    """Take one code off and price the cart with the others; the last one ends the reservation.

    The reservation keeps its id, whichever code it was. A payment page that is open is ended first; 404
    for a code that is not on the cart, or not any more.
    """
    house, caller = front().house, principal()
    with tenant_scope(caller.scope):
        unstack(
            house.sessions,
            reservation_id,
            discount_id,
            pages=house.paying.pages,
            actor_id=caller.actor_id,
        )
    with scoped_transaction(house.sessions, caller.scope) as session:
        return jsonify(_shown(session, reservation_id))


def _ask(session: Session, client_id: UUID, body: dict[str, Any], named: Customer) -> Ask:
    customer = known_customer(session, client_id, named, front().house.person_secret)
    customer = with_cards(session, client_id, customer)
    return Ask(client_id, body["code"], cart_of(body["cart"]), customer)


def _traces(client_id: UUID, body: dict[str, Any], named: Customer, now: datetime) -> Traces:
    """Where the shopper is, as the storefront says it: whoever asks is not who buys."""
    address = body["shopper_address"]
    return traces_of(
        client_id,
        front().house.person_secret,
        now,
        network=None if address is None else network_of(address),
        device=body["device"],
        email=named.email,
    )


def _tell_of_stranger(client_id: UUID, refusal: Refusal, customer: KnownCustomer | None) -> None:
    """Of a code that is another's: kept once the answer has gone, which is that of an unknown code."""
    if customer is None or not isinstance(refusal, CodeInvalid) or refusal.anothers is None:
        return
    house, code_id = front().house, refusal.anothers

    def note() -> None:
        with scoped_transaction(house.sessions, client(client_id)) as session:
            note_stranger(session, code_id, customer, now=clock.now(session), limits=house.limits)

    do_after_answer(note)


def _shown(session: Session, reservation_id: UUID) -> dict[str, Any]:
    return quoted_json(read_reservation(session, reservation_id))
