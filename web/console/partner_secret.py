"""Draw a partner's secret, or another one, and show it this once (S0-03..S0-08, S0-10, EC-106)."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for

from models import clock
from pipelines.access.permissions import Permission
from pipelines.partners.read import read_partner, standing_of
from pipelines.partners.refusals import SecretRotating
from pipelines.partners.secrets import DrawnSecret, rotate_secret, shown_secrets
from pipelines.queue.keys import RequestInProgress, once
from web.console.at_work import still_at_work
from web.console.form_names import form_name, key_of_form
from web.console.frame import page
from web.console.partner_words import masked
from web.console.partners import place_of
from web.console.typed import typed_fields
from web.console.visit import looking
from web.front import front
from web.guards import freshly_proven, permitted

#: What becomes of the secret before, by the form's choice; the seconds for which it goes on.
OVERLAPS: Mapping[str, int] = {"day": 24 * 3600, "hour": 3600, "week": 7 * 24 * 3600, "none": 0}
TITLE = "Secret"
NO_OVERLAP = "Choose what becomes of the secret before."
#: A choice that only ends everything is left.
TWO_ARE_GOOD = (
    "Two secrets are good already. Wait until the older one has ended, or end all at once."
)
MOVED = (
    "Nothing was drawn: somebody else drew a secret since this page was shown. Look at what is "
    "there now, and choose again."
)


def add_pages(console: Blueprint) -> None:
    path = "/partners/<uuid:partner_id>/secret"
    console.add_url_rule(path, "partner_secret", ask, methods=["GET"])
    console.add_url_rule(path, "partner_secret_now", draw, methods=["POST"])


@permitted(Permission.PARTNERS_MANAGE)
def ask(partner_id: UUID) -> Response:
    """Say what happens before anything is drawn."""
    freshly_proven()
    return _question(partner_id, {})


@permitted(Permission.PARTNERS_MANAGE)
def draw(partner_id: UUID) -> Response:
    """Draw, and show the text this once; the form sent again says that it was shown."""
    caller, house = freshly_proven(), front().house
    typed = typed_fields("overlap", "seen")
    if typed["overlap"] not in OVERLAPS:
        return _question(partner_id, {"overlap": NO_OVERLAP})
    drawn: list[DrawnSecret] = []
    try:
        with looking() as session:
            now = clock.now(session)

            def write() -> UUID:
                if _seen(shown_secrets(session, partner_id, now=now)) != typed["seen"]:
                    raise _Moved
                drawn.append(
                    rotate_secret(
                        session,
                        partner_id,
                        overlap_seconds=OVERLAPS[typed["overlap"]],
                        actor_id=caller.actor_id,
                        keyring=house.settings.keyring,
                        now=now,
                    )
                )
                return partner_id

            row = read_partner(session, partner_id)
            key = key_of_form(caller.actor_id)
            once(session, key, write, status=201, resource_kind="partner")
            secrets = shown_secrets(session, partner_id, now=now)
    except RequestInProgress:
        return still_at_work(url_for("console.partner", partner_id=partner_id))
    except SecretRotating:
        return _question(partner_id, {"overlap": TWO_ARE_GOOD}, status=409)
    except _Moved:
        return _question(partner_id, {"overlap": MOVED}, status=409)
    return _shown(row, secrets, drawn[0] if drawn else None)


class _Moved(Exception):
    """The secret is not the one that the form was shown with."""


def _current(secrets: list[Any]) -> Any:
    """The secret that signs, if there is one."""
    return next((secret for secret in secrets if secret.ends_at is None), None)


def _seen(secrets: list[Any]) -> str:
    """Its id, as the form carries it; empty where there is none."""
    current = _current(secrets)
    return "" if current is None else str(current.id)


def _question(
    partner_id: UUID, errors: Mapping[str, str], *, status: int | None = None
) -> Response:
    with looking() as session:
        now = clock.now(session)
        row = read_partner(session, partner_id)
        secrets = shown_secrets(session, partner_id, now=now)
        visits = standing_of(session, partner_id, now=now).visits
    place = place_of(partner_id, row.name)
    current = _current(secrets)
    return page(
        "partner_secret.html",
        title=f"{'Another secret' if current else TITLE} – {row.name}",
        section=place.section,
        crumbs=[*place.above, (TITLE, None)],
        status=status or (422 if errors else 200),
        partner=row,
        current=current,
        masked=masked,
        two_are_good=len(secrets) > 1,
        old=[secret for secret in secrets if secret.ends_at is not None],
        visits=visits,
        chosen=request.form.get("overlap") or ("none" if len(secrets) > 1 else "day"),
        errors=errors,
        home=place.home,
        form_name=form_name(),
    )


def _shown(row: Any, secrets: list[Any], drawn: DrawnSecret | None) -> Response:
    """The only page that has a secret on it; of a repeat it has none."""
    place = place_of(row.id, row.name)
    return page(
        "partner_drawn.html",
        title=f"Secret of {row.name}",
        section=place.section,
        crumbs=[*place.above, (TITLE, None)],
        partner=row,
        secret=drawn and drawn.text,
        visits_ended=drawn.visits_ended if drawn else 0,
        current=_current(secrets),
        old=[secret for secret in secrets if secret.ends_at is not None],
        masked=masked,
        home=place.home,
    )
