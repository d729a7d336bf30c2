"""How the API shows a coupon, its lock and its history."""

from marshmallow import Schema, fields

from models.books import CouponMove, CouponState
from web.fields import Word


class MoveAllowed(Schema):
    code = fields.String(allow_none=True, metadata={"description": "Null: it can be done."})
    detail = fields.String(allow_none=True)


class CouponMoves(Schema):
    redeem = fields.Nested(MoveAllowed)
    lock = fields.Nested(MoveAllowed)
    unlock = fields.Nested(MoveAllowed)
    assign = fields.Nested(MoveAllowed)
    release = fields.Nested(MoveAllowed)
    void = fields.Nested(MoveAllowed)


class Coupon(Schema):
    id = fields.UUID()
    code = fields.String(metadata={"description": "Its last characters, where codes are sealed."})
    is_sealed = fields.Boolean()
    state = Word(CouponState)
    book_id = fields.UUID()
    book = fields.String()
    client_id = fields.UUID()
    user_id = fields.UUID(allow_none=True)
    assigned_at = fields.DateTime(allow_none=True)
    locked_until = fields.DateTime(allow_none=True)
    redemptions = fields.Integer()
    max_redemptions = fields.Integer(allow_none=True)
    expires_at = fields.DateTime(allow_none=True)
    moves = fields.Nested(CouponMoves)


class LockedCoupon(Schema):
    lock_token = fields.String(
        allow_none=True,
        metadata={"description": "Null in a replay after the lock has ended."},
    )
    locked_until = fields.DateTime(allow_none=True)
    coupon = fields.Nested(Coupon)


class CouponEvent(Schema):
    number = fields.Integer()
    move = Word(CouponMove)
    user_id = fields.UUID(allow_none=True)
    actor_id = fields.UUID(
        allow_none=True,
        metadata={"description": "Null for its holder, where somebody else did it."},
    )
    job_id = fields.UUID(allow_none=True)
    at = fields.DateTime()
    reason = fields.String(allow_none=True)


class CouponEventPage(Schema):
    data = fields.List(fields.Nested(CouponEvent))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)
