"""What the widget asks for: a visit for a partner's token, what may be claimed, and the claim (S0-15..24)."""

from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, fields
from sqlalchemy import Row
from sqlalchemy.orm import Session

from models import clock
from models.database import scoped_transaction
from models.scope import client
from pipelines.access.rate_policies import Policy
from pipelines.partners.available import Available, list_available
from pipelines.partners.claim import Asked, Claimed, claim_coupon
from pipelines.partners.claims import claim_of_month, own_claim, own_claims
from pipelines.partners.open_session import Place, open_session
from pipelines.partners.refusals import CouponUnavailable
from pipelines.partners.sessions import Visitor
from pipelines.partners.tokens import named_partner
from pipelines.queue.keys import once
from web.admission import canonical, mark_replay, offered_key
from web.api.partner_schemas import LONG_TEXT
from web.api.routes import MAY_HAVE_KEY, Routes, answers, asks, documented, may_read, reads
from web.client_address import client_network
from web.cross_origin import asking_origin, cross_origin
from web.fields import Flag, Identity, PageQuery, Text
from web.front import front
from web.guards import public
from web.pages import id_cursor, listed
from web.rate_limits import limited
from web.spent_tokens import spent_tokens
from web.visitors import visiting, visitor

routes = Routes("widget", "What a partner's users ask for through the widget (docs/partners.md).")
WITHDRAWN = "withdrawn"
#: Offers that a refusal lists afresh, each with a coupon.
FRESH_COUPONS = 20


class SessionBody(Schema):
    token = Text(required=True, longest=LONG_TEXT * 128)
    host_origin = Text(
        longest=LONG_TEXT,
        load_default=None,
        allow_none=True,
        metadata={"description": "The site around the widget's frame, as the frame sees it."},
    )


class SessionOpened(Schema):
    session_token = fields.String(metadata={"description": "The bearer of this visit; shown once."})
    expires_at = fields.DateTime()
    user_id = fields.UUID()
    vendor_id = fields.UUID()


class OfferSeen(Schema):
    id = fields.UUID()
    title = fields.String()
    description = fields.String()
    expires_at = fields.DateTime(allow_none=True)


class AvailableQuery(PageQuery):
    one_per_offer = Flag(
        in_text=True,
        load_default=False,
        metadata={"description": "Of each offer its first coupon alone: enough to choose from."},
    )


class AvailableCoupon(Schema):
    id = fields.UUID()
    offer = fields.Nested(OfferSeen)


class ClaimShown(Schema):
    id = fields.UUID()
    coupon_id = fields.UUID()
    offer_id = fields.UUID()
    month = fields.String(metadata={"description": "`YYYY-MM`, in the vendor's time zone."})
    claimed_at = fields.DateTime()


class ClaimedCoupon(Schema):
    id = fields.UUID()
    code = fields.String(
        allow_none=True, metadata={"description": "Null for a coupon that was taken back."}
    )
    state = fields.String(metadata={"description": "`withdrawn` for one that was taken back."})
    book_id = fields.UUID()
    title = fields.String()
    description = fields.String()
    expires_at = fields.DateTime(allow_none=True)


class ClaimAnswer(Schema):
    claim = fields.Nested(ClaimShown)
    coupon = fields.Nested(ClaimedCoupon)


class ClaimMade(ClaimAnswer):
    replayed = fields.Boolean(metadata={"description": "Whether an earlier request claimed it."})


class ClaimAnswerPage(Schema):
    data = fields.List(fields.Nested(ClaimAnswer))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


class AvailablePage(Schema):
    data = fields.List(fields.Nested(AvailableCoupon))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)
    claimed_this_month = fields.Boolean()
    next_claim_at = fields.DateTime(allow_none=True)
    claim = fields.Nested(ClaimShown, allow_none=True)
    coupon = fields.Nested(ClaimedCoupon, allow_none=True)


class ClaimBody(Schema):
    coupon_id = Identity(
        load_default=None,
        allow_none=True,
        metadata={
            "description": "One of `available-coupons`; if it is gone, the next of its offer."
        },
    )
    offer_id = Identity(
        load_default=None, allow_none=True, metadata={"description": "Any coupon of this offer."}
    )


def _of_partner(body: dict[str, Any]) -> str:
    return f"{named_partner(body['token'])} {client_network()}"


@routes.post("/session-from-token")
@cross_origin
@public
@reads(SessionBody)
@limited(Policy.PARTNER_TOKEN, account=_of_partner)
@documented(security=[])
@answers(201, SessionOpened)
def open_session_from_token(body: dict[str, Any]) -> Response:
    """Exchange a partner's token for a session of seven days: verified, spent, its user known.

    401 `invalid_token` says nothing more; whoever manages the partner sees why. A token that the
    partner signed says `token_expired`, `token_lifetime`, `token_not_yet_valid` or `token_replayed`.
    """
    house = front().house
    opened = open_session(
        house.sessions,
        body["token"],
        Place(asking_origin(), body["host_origin"]),
        keyring=house.settings.keyring,
        memory=spent_tokens(),
    )
    response = jsonify(
        {
            "session_token": opened.token,
            "expires_at": opened.expires_at,
            "user_id": opened.user_id,
            "vendor_id": opened.partner_id,
        }
    )
    response.status_code = 201
    return response


@routes.get("/available-coupons")
@cross_origin
@visiting(Policy.WIDGET)
@asks(AvailableQuery)
@answers(200, AvailablePage)
def list_available_coupons(query: dict[str, Any]) -> Response:
    """Coupons that may be claimed now, offer by offer, without their codes.

    None for who has claimed this month: `claim` and `coupon` are then theirs, with the code.
    """
    house, who, limit = front().house, visitor(), query["limit"]
    after, mine, next_at = id_cursor(query), None, None
    with scoped_transaction(house.sessions, client(who.client_id)) as session:
        now = clock.now(session)
        found = list_available(
            session,
            who,
            after=after,
            limit=limit + 1,
            now=now,
            one_per_offer=query["one_per_offer"],
        )
        claimed = claim_of_month(session, who, now=now)
        if claimed is not None:
            mine = own_claim(session, who, claimed[0], keyring=house.settings.keyring)
            next_at = claimed[1]
    response = listed(found, limit=limit, view=_available, place=lambda one: one.id)
    own = {"claim": None, "coupon": None} if mine is None else _answer(*mine)
    told = response.get_json() | own
    told |= {"claimed_this_month": mine is not None, "next_claim_at": next_at}
    return _private(jsonify(told))


@routes.post("/claims")
@cross_origin
@visiting(Policy.WIDGET, Policy.CLAIM)
@may_read(ClaimBody)
@documented(parameters=[MAY_HAVE_KEY])
@answers(200, ClaimMade)
@answers(201, ClaimMade)
def claim(body: dict[str, Any]) -> Response:
    """Claim a coupon: one a month, for good. Its code is in the answer.

    200 with the same coupon for a repeat: of the same `Idempotency-Key`, or without one within ten
    minutes. 409 `already_claimed_this_month`, or `coupon_unavailable` with what there is now.
    """
    house, who = front().house, visitor()
    try:
        with scoped_transaction(house.sessions, client(who.client_id)) as session:
            done = _claimed(session, who, body)
            mine = own_claim(session, who, done.claim_id, keyring=house.settings.keyring)
    except CouponUnavailable:
        raise CouponUnavailable(_fresh(who)) from None
    response = jsonify(_answer(*mine) | {"replayed": done.is_replay})
    response.status_code = 200 if done.is_replay else 201
    return mark_replay(_private(response), is_replay=done.is_replay)


@routes.get("/claims")
@cross_origin
@visiting(Policy.WIDGET)
@asks(PageQuery)
@answers(200, ClaimAnswerPage)
def list_own_claims(query: dict[str, Any]) -> Response:
    """What you have claimed at this partner, newest first, with the codes."""
    house, who = front().house, visitor()
    limit, before = query["limit"], id_cursor(query)
    with scoped_transaction(house.sessions, client(who.client_id)) as session:
        keyring = house.settings.keyring
        found = own_claims(session, who, before=before, limit=limit, keyring=keyring)
    page = listed(found, limit=limit, view=lambda one: _answer(*one), place=lambda one: one[0].id)
    return _private(page)


def _claimed(session: Session, who: Visitor, body: dict[str, Any]) -> Claimed:
    """Claim once for each key, where the request has one."""
    key = offered_key(who, canonical(body))
    asked = Asked(body["coupon_id"], body["offer_id"], has_key=key is not None)
    made: list[Claimed] = []

    def make() -> UUID:
        made.append(claim_coupon(session, who, asked, now=clock.now(session)))
        return made[0].claim_id

    done = once(session, key, make, status=201, resource_kind="claim")
    return made[0] if made else Claimed(done.resource_id, is_replay=True)


def _fresh(who: Visitor) -> list[dict[str, Any]]:
    """What may be claimed now, for a page whose list is stale (EC-111)."""
    with scoped_transaction(front().house.sessions, client(who.client_id)) as session:
        now = clock.now(session)
        found = list_available(
            session, who, after=None, limit=FRESH_COUPONS, now=now, one_per_offer=True
        )
    return [_available(one) for one in found]


def _available(one: Available) -> dict[str, Any]:
    offer = one.offer
    expires_at = offer.expires_at and offer.expires_at.isoformat()
    told = {"id": str(offer.id), "title": offer.title, "description": offer.description}
    return {"id": str(one.id), "offer": told | {"expires_at": expires_at}}


def _answer(row: Row[Any], code: str | None) -> dict[str, Any]:
    return {
        "claim": {
            "id": row.id,
            "coupon_id": row.coupon_id,
            "offer_id": row.offer_id,
            "month": row.claim_month.isoformat()[:7],
            "claimed_at": row.claimed_at,
        },
        "coupon": {
            "id": row.coupon_id,
            "code": code,
            "state": row.state if row.is_kept else WITHDRAWN,
            "book_id": row.book_id,
            "title": row.title,
            "description": row.description,
            "expires_at": row.expires_at,
        },
    }


def _private(response: Response) -> Response:
    """Of one person: kept by nobody on the way (EC-111)."""
    response.headers["Cache-Control"] = "private, no-store"
    return response
