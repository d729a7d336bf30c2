"""The coupons of a person over HTTP, one's own or another's, and the opening of sealed codes."""

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, fields

from models import clock
from models.database import scoped_transaction
from models.scope import Scope
from pipelines.access.permissions import Permission, is_allowed
from pipelines.access.rate_policies import Policy
from pipelines.books.coupon_view import CouponView, check_known, coupons_of_person
from pipelines.books.reveal_code import reveal_code, reveal_own_code
from pipelines.sealing import Secret
from web.api.coupon_schemas import Coupon
from web.api.routes import Routes, answers, asks
from web.coupon_choice import own_scope
from web.fields import PageQuery
from web.front import front
from web.guards import freshly_proven, permitted, principal
from web.pages import id_cursor, listed
from web.rate_limits import limited

routes = Routes("user-coupons", "The coupons that a person holds.")


class CouponPage(Schema):
    data = fields.List(fields.Nested(Coupon))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


class RevealedCode(Schema):
    code = fields.String()


@routes.get("/users/me/coupons")
@permitted(Permission.OWN_COUPONS)
@asks(PageQuery)
@answers(200, CouponPage)
def list_own_coupons(query: dict[str, Any]) -> Response:
    """Your coupons, the newest first, each with what you can do with it and why not.

    If another chose your password, those of your own tenant, until you choose one by a mailed link.
    """
    caller = principal()
    for_holder = not is_allowed(caller, Permission.COUPONS_ASSIGN)
    return _listed(query, own_scope(caller), caller.actor_id, for_holder=for_holder)


@routes.get("/users/<uuid:user_id>/coupons")
@permitted(Permission.BOOKS_READ)
@asks(PageQuery)
@answers(200, CouponPage)
def list_coupons_of_user(query: dict[str, Any], user_id: UUID) -> Response:
    """The coupons of a person from books in your sight."""
    scope = principal().scope
    with scoped_transaction(front().house.sessions, scope) as session:
        check_known(session, user_id)
    return _listed(query, scope, user_id)


@routes.post("/users/me/coupons/<uuid:coupon_id>/reveal")
@permitted(Permission.OWN_COUPONS)
@limited(Policy.REVEAL)
@answers(200, RevealedCode)
def reveal_own_coupon(coupon_id: UUID) -> Response:
    """The whole code of a coupon of yours whose book seals its codes; each opening is audited."""
    house, caller = front().house, principal()
    code = reveal_own_code(
        house.sessions,
        coupon_id,
        holder=caller.actor_id,
        scope=own_scope(caller),
        keyring=house.settings.keyring,
    )
    return _laid_open(code)


@routes.post("/books/<uuid:book_id>/coupons/<uuid:coupon_id>/reveal")
@permitted(Permission.CODES_REVEAL)
@limited(Policy.REVEAL)
@answers(200, RevealedCode)
def reveal_coupon(book_id: UUID, coupon_id: UUID) -> Response:
    """The whole code of a coupon of a sealed book, after a fresh proof of who you are; audited."""
    house, caller = front().house, freshly_proven()
    with scoped_transaction(house.sessions, caller.scope) as session:
        code = reveal_code(
            session,
            book_id,
            coupon_id,
            actor_id=caller.actor_id,
            keyring=house.settings.keyring,
        )
    return _laid_open(code)


def _laid_open(code: Secret) -> Response:
    response = jsonify({"code": code.reveal()})
    response.headers["Cache-Control"] = "no-store"
    return response


def _listed(
    query: dict[str, Any], scope: Scope, user_id: UUID, *, for_holder: bool = False
) -> Response:
    before, limit = id_cursor(query), query["limit"]
    with scoped_transaction(front().house.sessions, scope) as session:
        now = clock.now(session)
        rows = coupons_of_person(session, user_id, now=now, before=before, limit=limit + 1)
    shown = partial(CouponView.as_json, for_holder=for_holder)
    return listed(rows, limit=limit, view=shown, place=lambda view: view.row.id)
