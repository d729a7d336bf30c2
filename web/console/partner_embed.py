"""What a partner's developer puts into their site and server, with the partner's own id in it (S0-34)."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from flask import Blueprint, Response, render_template

from pipelines.access.permissions import Permission, is_allowed
from pipelines.partners.read import read_partner
from pipelines.settings import Environment
from web.console.frame import page
from web.console.partners import place_of
from web.console.visit import looking
from web.front import front
from web.guards import permitted, principal

TITLE = "Put it into a site"
#: By the name of its template: in which language, and what it needs.
SIGNERS: Mapping[str, tuple[str, str]] = {
    "python": ("Python", "Needs PyJWT: pip install pyjwt. Save it as largesse_token.py."),
    "node": (
        "Node",
        "Needs nothing but Node 16 or newer. It is CommonJS: save it as largesse_token.cjs.",
    ),
    "php": ("PHP", "Needs nothing but PHP 7.4 or newer."),
    "shell": (
        "curl",
        "To try it from a terminal, with openssl: other users of that machine could see the key.",
    ),
}


@dataclass(frozen=True, slots=True)
class Snippet:
    """A text to copy; `name` is the id of its element."""

    name: str
    language: str
    needs: str
    text: str


def add_pages(console: Blueprint) -> None:
    path = "/partners/<uuid:partner_id>/embed"
    console.add_url_rule(path, "partner_embed", show, methods=["GET"])


@permitted(Permission.PARTNERS_READ)
def show(partner_id: UUID) -> Response:
    with looking() as session:
        row = read_partner(session, partner_id)
    place = place_of(partner_id, row.name)
    return page(
        "partner_embed.html",
        title=f"{TITLE} – {row.name}",
        section=place.section,
        crumbs=[*place.above, (TITLE, None)],
        partner=row,
        may_manage=is_allowed(principal(), Permission.PARTNERS_MANAGE),
        has_demo=_has_demo(),
        host=front().house.settings.public_url,
        address=_filled("address", partner_id),
        route=_filled("route", partner_id),
        embed=_filled("embed", partner_id),
        signers=[
            Snippet(name, language, needs, _filled(name, partner_id))
            for name, (language, needs) in SIGNERS.items()
        ],
    )


def _has_demo() -> bool:
    """Whether there is a shop that plays a partner."""
    settings = front().house.settings
    return settings.environment is Environment.DEMO and bool(settings.edge.demo_partner_url)


def _filled(name: str, partner_id: UUID) -> str:
    url = front().house.settings.public_url
    return render_template(f"console/snippets/{name}.txt", vendor_id=partner_id, url=url)
