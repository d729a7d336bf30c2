"""Partners over HTTP, as `/vendors`: who they are, their secrets, a token explained, and their claims."""

from typing import Any
from uuid import UUID

from flask import Response, jsonify
from sqlalchemy import Row
from sqlalchemy.orm import Session

from models import clock
from models.database import scoped_transaction
from pipelines.access.permissions import Permission
from pipelines.access.rate_policies import Policy
from pipelines.books.coupon_list import shown_code
from pipelines.partners import partners, read
from pipelines.partners.check_token import check_token
from pipelines.partners.claims import ClaimsWanted, list_claims
from pipelines.partners.claims_csv import export_claims
from pipelines.partners.offers import live_offers
from pipelines.partners.rules import OfferWanted, PartnerWanted
from pipelines.partners.secrets import DrawnSecret, rotate_secret, shown_secrets
from pipelines.queue.keys import once
from web.admission import canonical, mark_replay, offered_key
from web.api.partner_schemas import (
    DISABLED,
    ClaimsFileQuery,
    ClaimsQuery,
    ManagedClaimPage,
    SecretBody,
    SecretDrawn,
    SecretShown,
    TokenBody,
    TokenChecked,
    VendorBody,
    VendorChange,
    VendorPage,
    VendorsQuery,
    VendorWithOffers,
    offer_json,
    secret_json,
    vendor_json,
)
from web.api.routes import (
    MAY_HAVE_KEY,
    Routes,
    answers,
    answers_csv,
    asks,
    documented,
    may_read,
    reads,
)
from web.front import front
from web.guards import freshly_proven, permitted, principal
from web.pages import id_cursor, listed, read_version, with_version
from web.rate_limits import limited
from web.tenant_choice import chosen_client

routes = Routes(
    "vendors", "Partners, whose sites give your coupons to their users (docs/partners.md)."
)


@routes.post("/vendors")
@permitted(Permission.PARTNERS_MANAGE)
@reads(VendorBody)
@documented(parameters=[MAY_HAVE_KEY])
@answers(201, VendorWithOffers)
def create_vendor(body: dict[str, Any]) -> Response:
    """Make a partner; it has no secret until you draw one."""
    caller, house = principal(), front().house
    key = offered_key(caller, canonical(body))
    with scoped_transaction(house.sessions, caller.scope) as session:

        def make() -> UUID:
            return partners.create_partner(
                session,
                chosen_client(session, caller, body["client_id"]),
                PartnerWanted(
                    body["name"], body["time_zone"], body["origins"], _offers(body["offers"])
                ),
                actor_id=caller.actor_id,
                anywhere=house.settings.webhooks_anywhere,
                now=clock.now(session),
            )

        done = once(session, key, make, status=201, resource_kind="partner")
        shown = _whole(session, done.resource_id)
    return mark_replay(with_version(shown, 201), is_replay=done.is_replay)


@routes.get("/vendors")
@permitted(Permission.PARTNERS_READ)
@asks(VendorsQuery)
@answers(200, VendorPage)
def list_vendors(query: dict[str, Any]) -> Response:
    """List partners, newest first."""
    limit, before = query["limit"], id_cursor(query)
    is_disabled = None if query["state"] is None else query["state"] == DISABLED
    wanted = read.PartnersWanted(query["client_id"], is_disabled)
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        rows = read.list_partners(session, wanted, before=before, limit=limit + 1)
    return listed(rows, limit=limit, view=vendor_json, place=lambda row: row.id)


@routes.get("/vendors/<uuid:vendor_id>")
@permitted(Permission.PARTNERS_READ)
@answers(200, VendorWithOffers)
def get_vendor(vendor_id: UUID) -> Response:
    """One partner with its offers; never its secret."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        return with_version(_whole(session, vendor_id))


@routes.patch("/vendors/<uuid:vendor_id>")
@permitted(Permission.PARTNERS_MANAGE)
@reads(VendorChange)
@answers(200, VendorWithOffers)
def change_vendor(body: dict[str, Any], vendor_id: UUID) -> Response:
    """Change a partner, or disable and enable it: disabling ends its sessions for good.

    A list is written as a whole. Sessions of a site that is taken off `origins` are refused.
    """
    caller, house = principal(), front().house
    values: dict[str, Any] = {
        name: body[name] for name in ("name", "time_zone", "origins") if name in body
    }
    if "offers" in body:
        values["offers"] = _offers(body["offers"])
    if "state" in body:
        values["is_disabled"] = body["state"] == DISABLED
    with scoped_transaction(house.sessions, caller.scope) as session:
        partners.change_partner(
            session,
            vendor_id,
            values,
            version=read_version(body),
            actor_id=caller.actor_id,
            anywhere=house.settings.webhooks_anywhere,
            now=clock.now(session),
        )
        return with_version(_whole(session, vendor_id))


@routes.get("/vendors/<uuid:vendor_id>/partner-secret")
@permitted(Permission.PARTNERS_READ)
@answers(200, SecretShown)
def get_partner_secret(vendor_id: UUID) -> Response:
    """Whether there is a secret, and its last four characters; never more of it."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        read.read_partner(session, vendor_id)
        return jsonify(secret_json(shown_secrets(session, vendor_id, now=clock.now(session))))


@routes.post("/vendors/<uuid:vendor_id>/partner-secret")
@permitted(Permission.PARTNERS_MANAGE)
@may_read(SecretBody)
@documented(parameters=[MAY_HAVE_KEY])
@answers(201, SecretDrawn)
def draw_partner_secret(body: dict[str, Any], vendor_id: UUID) -> Response:
    """Draw the secret, or another one; it is shown this once.

    The one before goes on for `overlap_seconds`. 409 `rotation_under_way` while two are good, except
    with 0: then all before end at once, with every session.
    """
    caller, house = freshly_proven(), front().house
    key = offered_key(caller, canonical(body))
    drawn: list[DrawnSecret] = []
    with scoped_transaction(house.sessions, caller.scope) as session:
        now = clock.now(session)

        def draw() -> UUID:
            drawn.append(
                rotate_secret(
                    session,
                    vendor_id,
                    overlap_seconds=body["overlap_seconds"],
                    actor_id=caller.actor_id,
                    keyring=house.settings.keyring,
                    now=now,
                )
            )
            return vendor_id

        done = once(session, key, draw, status=201, resource_kind="partner")
        shown = secret_json(shown_secrets(session, vendor_id, now=now))
    shown["partner_secret"] = drawn[0].text if drawn else None
    shown["sessions_ended"] = drawn[0].visits_ended if drawn else None
    response = jsonify(shown)
    response.status_code = 201
    return mark_replay(response, is_replay=done.is_replay)


@routes.post("/vendors/<uuid:vendor_id>/check-token")
@permitted(Permission.PARTNERS_MANAGE)
@limited(Policy.TOKEN_CHECK)
@reads(TokenBody)
@answers(200, TokenChecked)
def check_partner_token(body: dict[str, Any], vendor_id: UUID) -> Response:
    """Say exactly why a token is or is not good now; it is not spent."""
    house = front().house
    with scoped_transaction(house.sessions, principal().scope) as session:
        now, keyring = clock.now(session), house.settings.keyring
        told = check_token(session, vendor_id, body["token"], keyring=keyring, now=now)
    return jsonify(
        {
            "ok": told.is_good,
            "code": told.code,
            "fault": told.fault,
            "detail": told.detail,
            "external_id": told.external_id,
            "expires_at": told.expires_at,
        }
    )


@routes.get("/vendors/<uuid:vendor_id>/claims")
@permitted(Permission.PARTNERS_READ)
@asks(ClaimsQuery)
@answers(200, ManagedClaimPage)
def list_vendor_claims(query: dict[str, Any], vendor_id: UUID) -> Response:
    """What the partner's users claimed, newest first."""
    limit, before = query["limit"], id_cursor(query)
    wanted = ClaimsWanted(vendor_id, query["month"], query["external_id"])
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        read.read_partner(session, vendor_id)
        rows = list_claims(session, wanted, before=before, limit=limit + 1)
    return listed(rows, limit=limit, view=_claim, place=lambda row: row.id)


@routes.get("/vendors/<uuid:vendor_id>/claims.csv")
@permitted(Permission.PARTNERS_READ)
@asks(ClaimsFileQuery)
@answers_csv()
def export_vendor_claims(query: dict[str, Any], vendor_id: UUID) -> Response:
    """The same as a file; taking it is audited."""
    caller = principal()
    wanted = ClaimsWanted(vendor_id, query["month"])
    blocks = export_claims(front().house.sessions, caller.scope, wanted, actor_id=caller.actor_id)
    response = Response(blocks, mimetype="text/csv")
    response.headers.set("Content-Disposition", "attachment", filename="claims.csv")
    return response


def _offers(given: list[dict[str, Any]]) -> list[OfferWanted]:
    return [OfferWanted(**offer) for offer in given]


def _whole(session: Session, partner_id: UUID) -> dict[str, Any]:
    row = read.read_partner(session, partner_id)
    offers = [offer_json(offer) for offer in live_offers(session, partner_id)]
    return vendor_json(row) | {"offers": offers}


def _claim(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "vendor_id": row.partner_id,
        "user_id": row.user_id,
        "external_id": row.external_id,
        "offer_id": row.offer_id,
        "offer_title": row.title,
        "book_id": row.book_id,
        "coupon_id": row.coupon_id,
        "code": shown_code(row.code, row.last4),
        "coupon_state": row.state,
        "month": row.claim_month.isoformat()[:7],
        "claimed_at": row.claimed_at,
    }
