"""Referral programs, codes and rewards as bodies say them and answers show them."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validates_schema

from models.discounts import CodeState
from models.referrals import RewardState
from pipelines.discounts.cart import SKU_CHARACTERS_MAX, UNIT_MINOR_MAX
from pipelines.discounts.code_rows import PRODUCTS_MAX, USES_MAX
from pipelines.discounts.pricing import WHOLE_BP
from pipelines.discounts.read import Standing
from pipelines.discounts.rules import DiscountKind
from pipelines.referrals.rules import (
    HOLD_DAYS_MAX,
    RANDOM_LENGTH,
    RANDOM_LENGTH_MAX,
    RANDOM_LENGTH_MIN,
    VALID_DAYS_MAX,
)
from web.api.shop_schemas import ShopCustomer
from web.fields import Count, Currency, Identity, PageQuery, Text, Word, one_of

NAME_CHARACTERS_MAX = 200
PREFIX_CHARACTERS_MAX = 20


def _amount(words: str) -> Count:
    return Count(low=1, high=UNIT_MINOR_MAX, allow_none=True, metadata={"description": words})


class ReferralPartBody(Schema):
    """What a code takes off, as of a discount code; what is left out is no rule."""

    kind = fields.String(required=True, validate=one_of(*DiscountKind))
    percent_bp = Count(low=1, high=WHOLE_BP, allow_none=True)
    amount_minor = _amount("Of a fixed discount, in minor units of `currency`.")
    currency = Currency(allow_none=True)
    max_discount_minor = _amount("The most that a percentage takes off.")
    min_subtotal_minor = _amount("What its products must cost together, as they are priced.")
    products = fields.List(Text(longest=SKU_CHARACTERS_MAX), allow_none=True)

    @validates_schema
    def _names_some_products(self, data: dict[str, Any], **_: Any) -> None:
        products = data.get("products")
        if products is not None and not products:
            raise ValidationError("required|Name a product, or null for all.", "products")
        if products is not None and len(products) > PRODUCTS_MAX:
            raise ValidationError(f"too_long|At most {PRODUCTS_MAX} products.", "products")


class ReferralPatternChange(Schema):
    """What is left out stays as it is."""

    prefix = Text(longest=PREFIX_CHARACTERS_MAX, least=0)
    random_length = Count(low=RANDOM_LENGTH_MIN, high=RANDOM_LENGTH_MAX)


class ReferralPatternBody(ReferralPatternChange):
    """`{prefix}-{random}`: of the codes of referrers, and of their rewards."""

    prefix = Text(longest=PREFIX_CHARACTERS_MAX, least=0, load_default="")
    random_length = Count(low=RANDOM_LENGTH_MIN, high=RANDOM_LENGTH_MAX, load_default=RANDOM_LENGTH)


class _Limits(Schema):
    max_uses_per_code = Count(
        low=1,
        high=USES_MAX,
        allow_none=True,
        metadata={"description": "How many friends one code is for; null: any number."},
    )
    max_rewards_per_referrer = Count(low=1, high=USES_MAX, allow_none=True)
    hold_days = Count(
        low=0,
        high=HOLD_DAYS_MAX,
        metadata={"description": "How long a friend's purchase must be kept; 14 if not said."},
    )
    reward_valid_days = Count(low=1, high=VALID_DAYS_MAX)


class ReferralProgramBody(_Limits):
    pattern = fields.Nested(ReferralPatternBody)
    name = Text(required=True, longest=NAME_CHARACTERS_MAX)
    friend = fields.Nested(ReferralPartBody, required=True)
    reward = fields.Nested(ReferralPartBody, required=True)
    client_id = Identity(load_default=None, allow_none=True)


class ReferralProgramChange(_Limits):
    """`friend` and `reward` are given as a whole; they are for codes and purchases from then on."""

    pattern = fields.Nested(ReferralPatternChange)
    name = Text(longest=NAME_CHARACTERS_MAX)
    friend = fields.Nested(ReferralPartBody)
    reward = fields.Nested(ReferralPartBody)

    @validates_schema
    def _says_something(self, data: dict[str, Any], **_: Any) -> None:
        if not data:
            raise ValidationError("required|Give what shall be changed.")


class ProgramsQuery(PageQuery):
    state = fields.String(load_default=None, validate=one_of(*CodeState))
    client_id = Identity(load_default=None)


class RewardsQuery(PageQuery):
    state = fields.String(load_default=None, validate=one_of(*RewardState))


class ReferralCodeBody(Schema):
    customer = fields.Nested(ShopCustomer, required=True)


class ReferralPart(Schema):
    kind = Word(DiscountKind)
    percent_bp = fields.Integer(allow_none=True)
    amount_minor = fields.Integer(allow_none=True)
    currency = fields.String(allow_none=True)
    max_discount_minor = fields.Integer(allow_none=True)
    min_subtotal_minor = fields.Integer(allow_none=True)
    products = fields.List(fields.String(), allow_none=True)


class ReferralPattern(Schema):
    prefix = fields.String()
    random_length = fields.Integer()


class ReferralProgram(Schema):
    id = fields.UUID()
    agency_id = fields.UUID()
    client_id = fields.UUID()
    name = fields.String()
    state = Word(CodeState)
    friend = fields.Nested(ReferralPart)
    reward = fields.Nested(ReferralPart)
    pattern = fields.Nested(ReferralPattern)
    max_uses_per_code = fields.Integer(allow_none=True)
    max_rewards_per_referrer = fields.Integer(allow_none=True)
    hold_days = fields.Integer()
    reward_valid_days = fields.Integer()
    version = fields.Integer()
    created_by = fields.UUID()
    created_at = fields.DateTime()
    updated_at = fields.DateTime()


class DiscountGiven(Schema):
    currency = fields.String()
    discount_minor = fields.Integer()


class ReferralCounts(Schema):
    codes = fields.Integer()
    purchases = fields.Integer(metadata={"description": "Paid with its codes, and not refunded."})
    pending = fields.Integer()
    issued = fields.Integer()
    void = fields.Integer()
    over_limit = fields.Integer()
    discounts = fields.List(
        fields.Nested(DiscountGiven),
        metadata={"description": "What friends were given, in each currency."},
    )


class CountedReferralProgram(ReferralProgram):
    counts = fields.Nested(ReferralCounts)


class ReferralProgramPage(Schema):
    data = fields.List(fields.Nested(ReferralProgram))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


class ReferralReward(Schema):
    id = fields.UUID(metadata={"description": "That of the friend's purchase."})
    program_id = fields.UUID()
    referral_code_id = fields.UUID()
    state = Word(RewardState)
    due_at = fields.DateTime()
    reward_code_id = fields.UUID(allow_none=True)
    reward_code = fields.String(
        allow_none=True,
        metadata={"description": "For one purchase of the referrer, nobody else's."},
    )
    expires_at = fields.DateTime(allow_none=True)
    is_used = fields.Boolean(metadata={"description": "Reserved, or paid with."})
    ended_at = fields.DateTime(allow_none=True)
    created_at = fields.DateTime()


class ReferralRewardPage(Schema):
    data = fields.List(fields.Nested(ReferralReward))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


class GivenReferralCode(Schema):
    discount_id = fields.UUID()
    program_id = fields.UUID()
    client_id = fields.UUID()
    code = fields.String()
    standing = Word(Standing, description="To be shown to friends while it is `active`.")
    rewards = fields.List(
        fields.Nested(ReferralReward),
        metadata={"description": "What it has earned, the newest hundred."},
    )
    created_at = fields.DateTime()
