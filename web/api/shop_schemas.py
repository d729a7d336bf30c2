"""What a storefront says of a cart and of who buys it, and what a cart costs, over HTTP."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from pipelines.currencies import is_accepted
from pipelines.discounts.cart import (
    LINES_MAX,
    QUANTITY_MAX,
    REFERENCE_CHARACTERS_MAX,
    SKU_CHARACTERS_MAX,
    SUBTOTAL_MINOR_MAX,
    TAX_BP_MAX,
    UNIT_MINOR_MAX,
    Cart,
    Line,
)
from pipelines.discounts.customers import Customer
from web.fields import NO_CURRENCY, Count, Currency, EmailAddress, Flag, Identity, Minor, Text


class ShopCustomer(Schema):
    """Who buys: by one or more of these."""

    error_messages = {  # noqa: RUF012 - marshmallow's own shape
        "type": 'type|Give an object such as {"email": "ann@example.com"}.'
    }

    id = Identity(metadata={"description": "Somebody whom the client knows."})
    email = EmailAddress(longest=320)
    external_id = Text(longest=4_096, metadata={"description": "The client's own id."})

    @validates_schema
    def _names_somebody(self, data: dict[str, Any], **_: Any) -> None:
        if not data:
            raise ValidationError("required|Give `id`, `email` or `external_id`.")


class ShopLine(Schema):
    sku = Text(required=True, longest=SKU_CHARACTERS_MAX)
    quantity = Count(low=1, high=QUANTITY_MAX, required=True)
    unit_minor = Minor(zero=True, required=True, metadata={"maximum": UNIT_MINOR_MAX})
    name = Text(longest=200, load_default="")
    tax_bp = Count(
        low=0,
        high=TAX_BP_MAX,
        load_default=0,
        metadata={"description": "The rate of its tax in basis points: 1900 is 19 %."},
    )


class ShopCart(Schema):
    id = Text(
        required=True,
        longest=REFERENCE_CHARACTERS_MAX,
        metadata={"description": "Your own id of the cart: it has one reservation at a time."},
    )
    currency = Currency(required=True)
    includes_tax = Flag(load_default=False)
    lines = fields.List(
        fields.Nested(ShopLine),
        required=True,
        validate=validate.Length(
            min=1, max=LINES_MAX, error=f"length|A cart has 1 to {LINES_MAX} lines."
        ),
    )

    @validates_schema
    def _can_be_paid(self, data: dict[str, Any], **_: Any) -> None:
        if not is_accepted(data["currency"]):
            raise ValidationError(NO_CURRENCY, "currency")
        if any(line["unit_minor"] > UNIT_MINOR_MAX for line in data["lines"]) or (
            sum(line["quantity"] * line["unit_minor"] for line in data["lines"])
            > SUBTOTAL_MINOR_MAX
        ):
            raise ValidationError("amount_out_of_range|The cart costs too much.", "lines")


class QuotedLine(Schema):
    sku = fields.String()
    name = fields.String()
    quantity = fields.Integer()
    gross_minor = fields.Integer(metadata={"description": "Before the discount."})
    discount_minor = fields.Integer()
    net_minor = fields.Integer(
        metadata={"description": "After it, as priced: gross less discount."}
    )
    tax_bp = fields.Integer()
    tax_minor = fields.Integer()


class ShopQuote(Schema):
    currency = fields.String()
    subtotal_minor = fields.Integer()
    discount_minor = fields.Integer()
    tax_minor = fields.Integer()
    includes_tax = fields.Boolean()
    total_minor = fields.Integer()
    lines = fields.List(fields.Nested(QuotedLine))


class AppliedCode(Schema):
    code_id = fields.UUID()
    code = fields.String()
    discount_minor = fields.Integer(metadata={"description": "What it takes off of the cart."})


#: What a reservation or purchase has, where it is shown.
APPLIED_CODES = fields.List(
    fields.Nested(AppliedCode),
    metadata={"description": "Its codes, in the order in which they are counted."},
)


def customer_of(told: dict[str, Any]) -> Customer:
    """Who buys, as a body of `ShopCustomer` says it."""
    return Customer(told.get("id"), told.get("email"), told.get("external_id"))


def cart_of(told: dict[str, Any]) -> Cart:
    """What is bought, as a body of `ShopCart` says it."""
    lines = tuple(Line(**line) for line in told["lines"])
    return Cart(told["id"], told["currency"], lines, told["includes_tax"])
