"""Partners: the list, by words and state (S0-33)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy.orm import Session

from models import clock
from pipelines.access.permissions import Permission, is_allowed
from pipelines.partners.read import PartnersWanted, claims_this_month, list_partners
from pipelines.partners.rules import NAME_CHARACTERS_MAX
from pipelines.tenants.clients import client_places
from web.console.changes import Place
from web.console.formats import plural
from web.console.frame import page
from web.console.job_words import StateWords
from web.console.partner_words import DISABLED, STATES, state_of
from web.console.person_form import client_choices
from web.console.typed import id_in
from web.console.visit import looking
from web.guards import permitted, principal

PAGE_SIZE = 50
TITLE = "Partners"


@dataclass(frozen=True, slots=True)
class PartnerLine:
    """One partner of the list."""

    id: UUID
    name: str
    owner: str
    state: StateWords
    has_secret: bool
    sites: str
    claims: int
    token_at: datetime | None


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/partners", "partners", show, methods=["GET"])


def place_of(partner_id: UUID, name: str) -> Place:
    """Where the forms of a partner stand."""
    home = url_for("console.partner", partner_id=partner_id)
    return Place("partners", ((TITLE, url_for("console.partners")), (name, home)))


@permitted(Permission.PARTNERS_READ)
def show() -> Response:
    """Partners in the visitor's scope, newest first; an unknown filter shows all."""
    caller, before, chosen = principal(), id_in(request.args.get("before")), _chosen()
    with looking() as session:
        lines, has_more = _lines(session, chosen, before)
    older = url_for("console.partners", **chosen, before=lines[-1].id) if has_more else None
    return page(
        "partners.html",
        title=TITLE,
        section="partners",
        crumbs=[(TITLE, None)],
        partners=lines,
        filters=[(name, words.word) for name, words in STATES.items()],
        chosen=chosen,
        is_filtered=any(chosen.values()),
        clients=client_choices(caller),
        older=older,
        is_later_page=before is not None,
        may_manage=is_allowed(caller, Permission.PARTNERS_MANAGE),
    )


def _chosen() -> dict[str, Any]:
    """What the address narrows the list to; what says nothing is None, and stands in no link."""
    state = request.args.get("state")
    find = "".join(one for one in request.args.get("find", "") if one.isprintable())
    return {
        "state": state if state in STATES else None,
        "find": find.strip()[:NAME_CHARACTERS_MAX] or None,
        "client": id_in(request.args.get("client")),
    }


def _lines(
    session: Session, chosen: dict[str, Any], before: UUID | None
) -> tuple[list[PartnerLine], bool]:
    """A page of the list, and whether there is another one."""
    state, words = chosen["state"], tuple((chosen["find"] or "").split())
    is_disabled = None if state is None else state == DISABLED
    wanted = PartnersWanted(chosen["client"], is_disabled, words)
    found = list_partners(session, wanted, before=before, limit=PAGE_SIZE + 1)
    rows = found[:PAGE_SIZE]
    claims = claims_this_month(session, [row.id for row in rows], now=clock.now(session))
    places = client_places(session, {row.client_id for row in rows})
    lines = [
        PartnerLine(
            row.id,
            row.name,
            "" if principal().client_id is not None else places[row.client_id].name,
            state_of(row),
            row.last4 is not None,
            plural(len(row.origins), "site"),
            claims[row.id],
            row.token_at,
        )
        for row in rows
    ]
    return lines, len(found) > PAGE_SIZE
