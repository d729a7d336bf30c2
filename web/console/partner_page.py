"""The page of a partner: its secret by its end, what comes from its sites, and what can be done."""

from functools import partial
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy import Row
from sqlalchemy.orm import Session

from models import clock
from pipelines.access.permissions import Permission, is_allowed
from pipelines.partners.offers import live_offers
from pipelines.partners.partners import change_partner
from pipelines.partners.read import read_partner, refusals_of, standing_of
from pipelines.partners.secrets import shown_secrets
from pipelines.partners.tokens import LIFETIME_SECONDS_MAX
from pipelines.queue.keys import RequestInProgress, once
from pipelines.tenants.clients import client_places
from web.console.at_work import still_at_work
from web.console.changes import Change, Line, agree
from web.console.form_names import form_name, key_of_form
from web.console.formats import number, plural
from web.console.frame import go, page
from web.console.partner_words import DISABLED, STATES, masked, refusal_lines, state_of
from web.console.partners import TITLE, place_of
from web.console.visit import looking
from web.front import front
from web.guards import permitted, principal

DONE = {
    "created": "The partner is made. Generate its secret next, and give its developer what stands "
    "under Put it into a site.",
    "changed": "The partner is changed.",
    "enabled": "The partner is enabled: its tokens are taken again. Visits that were ended stay so.",
    "disabled": "The partner is disabled: its tokens are not taken, and its visits are over.",
}


def add_pages(console: Blueprint) -> None:
    path = "/partners/<uuid:partner_id>"
    console.add_url_rule(path, "partner", show, methods=["GET"])
    console.add_url_rule(f"{path}/enable", "partner_enable", enable, methods=["POST"])
    console.add_url_rule(f"{path}/disable", "partner_disable", disable, methods=["GET", "POST"])


@permitted(Permission.PARTNERS_READ)
def show(partner_id: UUID) -> Response:
    caller = principal()
    with looking() as session:
        now = clock.now(session)
        row = read_partner(session, partner_id)
        owner = client_places(session, [row.client_id])[row.client_id].name
        secrets = shown_secrets(session, partner_id, now=now)
        offers = live_offers(session, partner_id)
        standing = standing_of(session, partner_id, now=now)
        refusals = refusal_lines(refusals_of(session, partner_id, now=now))
    current, old = _by_end(secrets)
    return page(
        "partner.html",
        title=row.name,
        section="partners",
        crumbs=[(TITLE, url_for("console.partners")), (row.name, None)],
        partner=row,
        owner="" if caller.client_id is not None else owner,
        state_words=state_of(row),
        secret=current,
        old_secrets=old,
        masked=masked,
        offers=offers,
        standing=standing,
        month=f"{standing.month:%Y-%m}",
        refusals=refusals,
        minutes=LIFETIME_SECONDS_MAX // 60,
        may_manage=is_allowed(caller, Permission.PARTNERS_MANAGE),
        may_audit=is_allowed(caller, Permission.AUDIT_READ),
        form_name=form_name(),
        done=DONE.get(request.args.get("done", "")),
    )


@permitted(Permission.PARTNERS_MANAGE)
def enable(partner_id: UUID) -> Response:
    """Take its tokens again; the form sent again does it once."""
    home = url_for("console.partner", partner_id=partner_id)
    try:
        with looking() as session:
            key = key_of_form(principal().actor_id)
            act = partial(_stand, partner_id, session, None, disables=False)
            once(session, key, act, status=200, resource_kind="partner")
    except RequestInProgress:
        return still_at_work(home)
    return go(url_for("console.partner", partner_id=partner_id, done="enabled"))


@permitted(Permission.PARTNERS_MANAGE)
def disable(partner_id: UUID) -> Response:
    """For a reason, after what it ends was said."""
    with looking() as session:
        now = clock.now(session)
        row = read_partner(session, partner_id)
        visits = standing_of(session, partner_id, now=now).visits
    change = Change(
        title=f"Disable {row.name}",
        lines=(
            Line("The partner", state_of(row).word, STATES[DISABLED].word),
            Line("Visits that go on", number(visits), "End at once, for good"),
            Line("Its tokens", _taken(row), "Refused"),
        ),
        note="Its users see no coupons and claim none. What they claimed stays theirs. The secret "
        "stays as it is; enabling the partner again brings no visit back.",
        button=f"Disable, and end {plural(visits, 'visit')}",
        done=url_for("console.partner", partner_id=partner_id, done="disabled"),
        kind="partner",
        act=partial(_stand, partner_id, disables=True),
        is_ending=True,
    )
    return agree(place_of(partner_id, row.name), change, {})


def _stand(partner_id: UUID, session: Session, reason: str | None, *, disables: bool) -> UUID:
    change_partner(
        session,
        partner_id,
        {"is_disabled": disables},
        version=None,
        actor_id=principal().actor_id,
        anywhere=front().house.settings.webhooks_anywhere,
        now=clock.now(session),
        reason=reason,
    )
    return partner_id


def _taken(row: Row[Any]) -> str:
    if row.last4 is None:
        return "None: there is no secret"
    return "Taken" if row.disabled_at is None else "Refused"


def _by_end(secrets: list[Row[Any]]) -> tuple[Row[Any] | None, list[Row[Any]]]:
    """The present secret, and those before it that are still good."""
    current = next((secret for secret in secrets if secret.ends_at is None), None)
    return current, [secret for secret in secrets if secret.ends_at is not None]
