"""What a partner's users claimed: the list by month and user, and the same as a file."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy import Row

from pipelines.access.permissions import Permission, is_allowed
from pipelines.books.coupon_list import shown_code
from pipelines.partners.claims import ClaimsWanted, list_claims
from pipelines.partners.claims_csv import export_claims
from pipelines.partners.read import read_partner
from pipelines.partners.tokens import SUBJECT_CHARACTERS_MAX
from web.console.coupon_words import COUPON_STATES
from web.console.frame import page
from web.console.job_words import StateWords
from web.console.partners import place_of
from web.console.typed import id_in
from web.console.visit import looking
from web.front import front
from web.guards import permitted, principal

PAGE_SIZE = 50
TITLE = "Claims"
NO_MONTH = "Give a month as a year and a number, such as 2026-11."
FORGOTTEN = "somebody who was erased"


@dataclass(frozen=True, slots=True)
class ClaimLine:
    """One claim of the table."""

    id: UUID
    claimed_at: datetime
    month: str
    user: str
    user_id: UUID
    external_id: str | None
    offer: str
    code: str
    book_id: UUID
    coupon_id: UUID
    state: StateWords
    is_kept: bool


def add_pages(console: Blueprint) -> None:
    path = "/partners/<uuid:partner_id>/claims"
    console.add_url_rule(path, "partner_claims", show, methods=["GET"])
    console.add_url_rule(f"{path}.csv", "partner_claims_csv", download, methods=["GET"])


@permitted(Permission.PARTNERS_READ)
def show(partner_id: UUID) -> Response:
    """Claims, newest first; a month that is none is said, and never taken for no filter at all."""
    before, chosen = id_in(request.args.get("before")), _chosen()
    errors = dict[str, str]()
    month = _month(chosen, errors)
    with looking() as session:
        row = read_partner(session, partner_id)
        wanted = ClaimsWanted(partner_id, month, chosen["user"])
        found = [] if errors else list_claims(session, wanted, before=before, limit=PAGE_SIZE + 1)
    caller = principal()
    shown, place = found[:PAGE_SIZE], place_of(partner_id, row.name)
    older = None
    if len(found) > PAGE_SIZE:
        older = url_for(
            "console.partner_claims", partner_id=partner_id, **chosen, before=shown[-1].id
        )
    return page(
        "partner_claims.html",
        title=f"{TITLE} – {row.name}",
        section=place.section,
        crumbs=[*place.above, (TITLE, None)],
        status=422 if errors else 200,
        errors=errors,
        partner=row,
        claims=[_line(one) for one in shown],
        chosen=chosen,
        is_filtered=any(chosen.values()),
        older=older,
        is_later_page=before is not None,
        may_manage=is_allowed(caller, Permission.PARTNERS_MANAGE),
        may_see_books=is_allowed(caller, Permission.BOOKS_READ),
        # A partner's user is a person of no tenant: the platform alone has a page of them.
        may_see_people=caller.agency_id is None and is_allowed(caller, Permission.USERS_MANAGE),
    )


@permitted(Permission.PARTNERS_READ)
def download(partner_id: UUID) -> Response:
    """What the filter shows, as a file; taking it is in the audit log."""
    caller, chosen, errors = principal(), _chosen(), dict[str, str]()
    wanted = ClaimsWanted(partner_id, _month(chosen, errors), chosen["user"])
    if errors:
        return show(partner_id)
    blocks = export_claims(front().house.sessions, caller.scope, wanted, actor_id=caller.actor_id)
    response = Response(blocks, mimetype="text/csv")
    name = f"claims-{chosen['month'] or 'all'}.csv"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    response.headers["Cache-Control"] = "no-store"
    return response


def _chosen() -> dict[str, Any]:
    """What the address narrows the list to; a user's id is taken as it is, spaces and all (EC-107)."""
    user = request.args.get("user", "").replace("\0", "")
    return {
        "month": request.args.get("month", "").strip()[: len("2026-11") + 1] or None,
        "user": user[:SUBJECT_CHARACTERS_MAX] or None,
    }


def _month(chosen: Mapping[str, Any], errors: dict[str, str]) -> date | None:
    """The first day of the month that was asked for; None for any, or with an error."""
    text = chosen["month"]
    if text is None:
        return None
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        errors["month"] = NO_MONTH
        return None


def _line(row: Row[Any]) -> ClaimLine:
    return ClaimLine(
        row.id,
        row.claimed_at,
        row.claim_month.isoformat()[:7],
        FORGOTTEN if row.external_id is None else row.external_id,
        row.user_id,
        row.external_id,
        row.title,
        shown_code(row.code, row.last4),
        row.book_id,
        row.coupon_id,
        COUPON_STATES[row.state],
        bool(row.is_kept),
    )
