"""What is asked and told of purchases and their refunds over HTTP."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from models.payments import RefundState
from pipelines.checkout.read import STATES
from pipelines.discounts.cart import LINES_MAX, QUANTITY_MAX
from web.api.shop_schemas import APPLIED_CODES, ShopQuote
from web.fields import Count, Flag, Identity, Minor, PageQuery, Text, one_of

LINE_PLACE = "Its place in the purchase's `quote.lines`; the first is 0."
ACCEPTED = {"description": "Why, in your own words; kept in the audit log."}
SETTLED = {"description": "Why, in your own words; kept with the refund and in the audit log."}


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
    expires_at = fields.DateTime(
        allow_none=True,
        metadata={
            "description": "While it can be paid, until when: its page ends, or the slot of its code."
        },
    )
    created_at = fields.DateTime()
    ended_at = fields.DateTime(allow_none=True)


class BegunPurchase(Purchase):
    purchase_id = fields.UUID()


class ReturnedUnits(Schema):
    line = fields.Integer(metadata={"description": LINE_PLACE})
    quantity = fields.Integer()


class RefundShown(Schema):
    id = fields.UUID()
    refund_id = fields.String(allow_none=True, metadata={"description": "Stripe's."})
    state = fields.String(validate=validate.OneOf(list(RefundState)))
    amount_minor = fields.Integer()
    lines = fields.List(
        fields.Nested(ReturnedUnits),
        metadata={"description": "The returned units that it pays for; none: an amount."},
    )
    reason = fields.String(
        metadata={"description": "`person`, `outside` (at Stripe), or why it was not kept."}
    )
    note = fields.String(
        allow_none=True,
        metadata={"description": "The `reason` that the person gave, in their own words."},
    )
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
    returned = fields.List(
        fields.Nested(ReturnedUnits),
        metadata={"description": "Units that are paid back or will be; failed refunds are not in."},
    )
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
        metadata={
            "description": "What was returned: each at what was paid for it, its tax too, and once."
        },
        validate=validate.Length(min=1, max=LINES_MAX, error="length|Name a line."),
    )
    reason = Text(required=True, longest=200, metadata=SETTLED)

    @validates_schema
    def _says_one_thing(self, data: dict[str, Any], **_: Any) -> None:
        if data.get("amount_minor") is not None and data.get("lines") is not None:
            raise ValidationError("conflict|Give `amount_minor` or `lines`.", "lines")


class AmountAccepted(Schema):
    reason = Text(required=True, longest=200, metadata=ACCEPTED)
