"""Discount codes for shoppers' own eyes: whether one is good now, asked by nobody in particular (EC-029)."""

from typing import Any

from flask import Response, jsonify
from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from models import clock
from models.database import scoped_transaction
from models.scope import client
from pipelines.access.rate_policies import Policy
from pipelines.currencies import is_accepted
from pipelines.discounts.cart import SUBTOTAL_MINOR_MAX, Cart, Line
from pipelines.discounts.public_look import look_publicly
from pipelines.discounts.refusals import CodeInvalid
from web.api.discount_schemas import CODE_CHARACTERS_MAX
from web.api.routes import CAPTCHA, Routes, answers, asks, documented
from web.fields import NO_CURRENCY, Count, Currency, Identity, Text
from web.front import front
from web.guards import public
from web.humans import humans_only
from web.misses import has_missed_often, looking_up, misses
from web.rate_limits import limited

routes = Routes(
    "public-discounts", "Discount codes without a credential: one answer for all that are not good."
)


class PublicValidationQuery(Schema):
    client_id = Identity(required=True, metadata={"description": "Whose shop it is."})
    code = Text(required=True, longest=CODE_CHARACTERS_MAX)
    subtotal_minor = Count(low=0, high=SUBTOTAL_MINOR_MAX, required=True, in_query=True)
    currency = Currency(required=True)

    @validates_schema
    def _has_a_currency(self, data: dict[str, Any], **_: Any) -> None:
        if not is_accepted(data["currency"]):
            raise ValidationError(NO_CURRENCY, "currency")


class PublicValidation(Schema):
    valid = fields.Boolean()
    discount_minor = fields.Integer()
    total_minor = fields.Integer()
    reason = fields.String(
        allow_none=True,
        validate=validate.OneOf([CodeInvalid.code]),
        metadata={"description": "`code_invalid`, whatever is the matter; null for a good code."},
    )


def _is_doubtful(**_query: Any) -> bool:
    return misses().is_alarmed or has_missed_often()


@routes.get("/public/discounts/validate")
@public
@limited(Policy.VALIDATE)
@humans_only(Policy.VALIDATE, when=_is_doubtful)
@asks(PublicValidationQuery)
@documented(parameters=[CAPTCHA], security=[])
@answers(200, PublicValidation)
def validate_discount_publicly(query: dict[str, Any]) -> Response:
    """What a code would take off this amount, before tax; it takes no slot, and promises none.

    A code that is not good for any reason is `valid: false` with `code_invalid`, as one that nobody
    has. A network asks ten times a minute; fifty such answers in an hour end in 429 `rate_limited`
    for a quarter of an hour.
    """
    client_id, subtotal = query["client_id"], query["subtotal_minor"]
    cart = Cart("", query["currency"], (Line("", 1, subtotal),))
    scope = client(client_id)
    try:
        with (
            looking_up(f"{client_id}:{query['code']}"),
            scoped_transaction(front().house.sessions, scope) as session,
        ):
            now = clock.now(session)
            quote = look_publicly(session, client_id, query["code"], cart, now=now)
    except CodeInvalid as refusal:
        return _told(valid=False, discount=0, total=subtotal, reason=refusal.code)
    return _told(valid=True, discount=quote.discount_minor, total=quote.total_minor, reason=None)


def _told(*, valid: bool, discount: int, total: int, reason: str | None) -> Response:
    return jsonify(
        {"valid": valid, "discount_minor": discount, "total_minor": total, "reason": reason}
    )
