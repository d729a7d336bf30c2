"""Discount codes over HTTP: what a body says of one, and what an answer shows."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from models.discounts import OnLate, Restores
from pipelines.discounts.cart import SKU_CHARACTERS_MAX, UNIT_MINOR_MAX
from pipelines.discounts.code_rows import PRODUCTS_MAX, USES_MAX
from pipelines.discounts.pricing import WHOLE_BP
from pipelines.discounts.read import Standing
from pipelines.discounts.rules import DiscountKind
from pipelines.discounts.tiers import TIERS_MAX
from web.api.shop_schemas import ShopCustomer
from web.fields import (
    Count,
    Currency,
    Flag,
    Identity,
    PageQuery,
    Stamp,
    Text,
    Word,
    in_years,
    one_of,
)

CODE_CHARACTERS_MAX = 200


def _amount(words: str) -> Count:
    return Count(low=1, high=UNIT_MINOR_MAX, allow_none=True, metadata={"description": words})


class TierBody(Schema):
    """A tier says what the code itself says: a percentage, or an amount."""

    from_minor = Count(
        low=1,
        high=UNIT_MINOR_MAX,
        required=True,
        metadata={"description": "The subtotal, as of `min_subtotal_minor`, that reaches it."},
    )
    percent_bp = Count(low=1, high=WHOLE_BP)
    amount_minor = Count(low=1, high=UNIT_MINOR_MAX)


class DiscountRulesBody(Schema):
    """What may be changed; null is none. Changed rules are for reservations made from then on."""

    percent_bp = Count(
        low=1,
        high=WHOLE_BP,
        allow_none=True,
        metadata={"description": "Of a percentage, in basis points: 1000 is 10 %."},
    )
    amount_minor = _amount("Of a fixed discount, in minor units of `currency`.")
    currency = Currency(
        allow_none=True, metadata={"description": "Null: a percentage of any currency."}
    )
    max_discount_minor = _amount("The most that a percentage takes off.")
    min_subtotal_minor = _amount("What the code's products must cost together, as they are priced.")
    products = fields.List(
        Text(longest=SKU_CHARACTERS_MAX),
        allow_none=True,
        metadata={"description": "SKUs that the code is for; null: all."},
    )
    tiers = fields.List(
        fields.Nested(TierBody),
        allow_none=True,
        validate=validate.Length(
            min=1,
            max=TIERS_MAX,
            error=f"out_of_range|Give 1 to {TIERS_MAX} tiers, or null for none.",
        ),
        metadata={
            "description": "Spend more, save more: each begins later and gives more than the one "
            "before and than the code itself, which is for less than the first; null: none."
        },
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
    stacking_group = Text(
        longest=40,
        allow_none=True,
        metadata={
            "description": "Codes whose groups differ may be on one cart, such as `shipping`; null: "
            "with no other code."
        },
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
    assigned_to = fields.Nested(
        ShopCustomer,
        allow_none=True,
        metadata={
            "description": "The one customer whom it is for, and stays for; to all others it is no "
            "code. Null: for whoever knows it."
        },
    )


#: What makes a code the one that it is.
FIXED_FOR_GOOD = ("code", "kind", "assigned_to", "client_id")


class DiscountChange(DiscountRulesBody, DiscountOptions):
    def handle_error(self, error: ValidationError, data: Any, *, many: bool, **_: Any) -> None:
        """What makes a code is known, and stays; whatever else is wrong is said beside it."""
        told = error.messages
        for name in FIXED_FOR_GOOD:
            if isinstance(told, dict) and name in told:
                told[name] = ["cannot_change|This cannot be changed. Make another code."]

    @validates_schema
    def _says_something(self, data: dict[str, Any], **_: Any) -> None:
        if not data:
            raise ValidationError("required|Give what shall be changed.")


class DiscountsQuery(PageQuery):
    standing = fields.String(load_default=None, validate=one_of(*Standing))
    code = Text(
        longest=CODE_CHARACTERS_MAX,
        load_default=None,
        metadata={"description": "How the code begins; the whole of one that is not shown."},
    )
    client_id = Identity(load_default=None)
    batch_id = Identity(
        load_default=None, metadata={"description": "Only codes that this job made or imported."}
    )


class Tier(Schema):
    from_minor = fields.Integer()
    percent_bp = fields.Integer(metadata={"description": "Of a percentage."})
    amount_minor = fields.Integer(metadata={"description": "Of a fixed discount."})


class Discount(Schema):
    id = fields.UUID()
    agency_id = fields.UUID()
    client_id = fields.UUID()
    batch_id = fields.UUID(
        allow_none=True, metadata={"description": "The job that made it with others."}
    )
    code = fields.String(
        metadata={"description": "`****1234` of one for a single use, to who manages no codes."}
    )
    standing = Word(Standing)
    kind = Word(DiscountKind)
    percent_bp = fields.Integer(allow_none=True)
    amount_minor = fields.Integer(allow_none=True)
    currency = fields.String(allow_none=True)
    max_discount_minor = fields.Integer(allow_none=True)
    min_subtotal_minor = fields.Integer(allow_none=True)
    products = fields.List(fields.String(), allow_none=True)
    tiers = fields.List(fields.Nested(Tier), allow_none=True)
    starts_at = fields.DateTime(allow_none=True)
    expires_at = fields.DateTime(allow_none=True)
    max_uses = fields.Integer(allow_none=True)
    max_uses_per_customer = fields.Integer(allow_none=True)
    first_order_only = fields.Boolean()
    stacking_group = fields.String(allow_none=True)
    restore_on_refund = Word(Restores)
    on_late = Word(OnLate)
    watch_leaks = fields.Boolean()
    pause_reason = fields.String(
        allow_none=True,
        metadata={"description": "`leak_suspected`, where no person paused it."},
    )
    is_assigned = fields.Boolean(metadata={"description": "Whether it is for one customer alone."})
    assigned_user_id = fields.UUID(
        allow_none=True, metadata={"description": "Who that is; null for a guest."}
    )
    others_tried = fields.Integer(
        metadata={"description": "How many others tried a code that is for one customer."}
    )
    last_tried_by_other_at = fields.DateTime(allow_none=True)
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
