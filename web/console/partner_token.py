"""Check a token of a partner: what is wrong with it and what to do; it is neither spent nor kept (S0)."""

from datetime import UTC, datetime
from uuid import UUID

from flask import Blueprint, Response, request

from models import clock
from pipelines.access.permissions import Permission
from pipelines.access.rate_policies import Policy
from pipelines.partners.check_token import TokenVerdict, check_token
from pipelines.partners.read import read_partner
from pipelines.partners.tokens import TOKEN_BYTES_MAX
from web.console.frame import page
from web.console.partner_words import REFUSALS
from web.console.partners import place_of
from web.console.visit import looking
from web.front import front
from web.guards import permitted
from web.rate_limits import limited

TITLE = "Check a token"
NO_TOKEN = "Paste the token."
#: Longer than a token may be, so that its own rule says that it is.
CHARACTERS_MAX = 2 * TOKEN_BYTES_MAX


def add_pages(console: Blueprint) -> None:
    path = "/partners/<uuid:partner_id>/check-token"
    console.add_url_rule(path, "partner_token", ask, methods=["GET"])
    console.add_url_rule(path, "partner_token_now", check, methods=["POST"])


@permitted(Permission.PARTNERS_MANAGE)
def ask(partner_id: UUID) -> Response:
    return _page(partner_id)


@permitted(Permission.PARTNERS_MANAGE)
@limited(Policy.TOKEN_CHECK)
def check(partner_id: UUID) -> Response:
    """Judge it; the page has the verdict, and never the text that was pasted."""
    token = request.form.get("token", "").strip()[:CHARACTERS_MAX]
    if not token:
        return _page(partner_id, errors={"token": NO_TOKEN})
    with looking() as session:
        now, keyring = clock.now(session), front().house.settings.keyring
        verdict = check_token(session, partner_id, token, keyring=keyring, now=now)
    return _page(partner_id, verdict)


def _page(
    partner_id: UUID, verdict: TokenVerdict | None = None, errors: dict[str, str] | None = None
) -> Response:
    with looking() as session:
        row = read_partner(session, partner_id)
    place = place_of(partner_id, row.name)
    return page(
        "partner_token.html",
        title=f"{TITLE} – {row.name}",
        section=place.section,
        crumbs=[*place.above, (TITLE, None)],
        status=422 if errors else 200,
        partner=row,
        verdict=verdict,
        expires=_moment(verdict),
        told=REFUSALS[verdict.code][0] if verdict is not None and verdict.code else "",
        errors=errors or {},
        may_manage=True,
    )


def _moment(verdict: TokenVerdict | None) -> datetime | None:
    """When a genuine token expires."""
    if verdict is None or verdict.expires_at is None:
        return None
    return datetime.fromtimestamp(verdict.expires_at, UTC)
