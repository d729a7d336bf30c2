"""API keys of storefronts at the console: the list, and what ends or replaces a key."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy.orm import Session

from models import clock
from pipelines.access.api_keys import (
    OVERLAP_SECONDS,
    KeyEnded,
    RotationUnderWay,
    end_key,
    key_row,
    list_keys,
    rotate_key,
)
from pipelines.access.permissions import Permission
from pipelines.access.places import Places, places_of
from pipelines.queue.keys import once
from web.console.api_key_new import LIFETIMES, chosen_days, show_made
from web.console.form_names import form_name, key_of_form
from web.console.frame import go, page
from web.console.job_words import StateWords
from web.console.role_words import SCOPE_WORDS
from web.console.typed import id_in
from web.console.visit import looking
from web.guards import freshly_proven, permitted, principal
from web.new_keys import draw

PAGE_SIZE = 50
#: A key that ends within this time is marked.
SOON = timedelta(days=14)
OVERLAPS = {
    "0": "End it at once",
    "3600": "One hour",
    "86400": "One day",
    "604800": "Seven days",
    "2592000": "Thirty days",
}


@dataclass(frozen=True, slots=True)
class KeyWords:
    """One key as the pages say it."""

    id: UUID
    name: str
    prefix: str
    place: str
    scopes: str
    networks: str
    state: StateWords
    is_living: bool
    expires_at: datetime
    last_used_at: datetime | None


def add_pages(console: Blueprint) -> None:
    home = "/api-keys/<uuid:key_id>"
    console.add_url_rule("/api-keys", "api_keys", show)
    console.add_url_rule(f"{home}/rotate", "api_key_rotate", ask_rotation, methods=["GET"])
    console.add_url_rule(f"{home}/rotate", "api_key_rotate_now", rotate, methods=["POST"])
    console.add_url_rule(f"{home}/end", "api_key_end", ask_end, methods=["GET"])
    console.add_url_rule(f"{home}/end", "api_key_end_now", end, methods=["POST"])


@permitted(Permission.KEYS_MANAGE)
def show() -> Response:
    """The keys in the visitor's scope, newest first."""
    before = id_in(request.args.get("before"))
    with looking() as session:
        rows = list_keys(session, before=before, limit=PAGE_SIZE + 1)
        keys = _worded(session, rows[:PAGE_SIZE])
    older = None
    if len(rows) > PAGE_SIZE:
        older = url_for("console.api_keys", before=keys[-1].id)
    return page(
        "api_keys.html",
        title="API keys",
        section="api-keys",
        keys=keys,
        older=older,
        is_later_page=before is not None,
    )


@permitted(Permission.KEYS_MANAGE)
def ask_rotation(key_id: UUID) -> Response:
    freshly_proven()
    return _rotation(key_id)


@permitted(Permission.KEYS_MANAGE)
def rotate(key_id: UUID) -> Response:
    """Make the key that takes this one's place, and show it this once."""
    caller, drawn = freshly_proven(), draw()
    overlap, days = request.form.get("overlap", ""), chosen_days(request.form)
    if overlap not in OVERLAPS or days is None:
        return _rotation(key_id, errors={"overlap": "Choose how long the old key goes on."})

    def make() -> UUID:
        return rotate_key(
            session,
            key_id,
            drawn,
            overlap_seconds=int(overlap),
            days=days,
            actor_id=caller.actor_id,
            now=clock.now(session),
        )

    try:
        with looking() as session:
            key = key_of_form(caller.actor_id)
            done = once(session, key, make, status=200, resource_kind="api_key")
            row = key_row(session, done.resource_id)
    except (KeyEnded, RotationUnderWay) as refusal:
        return _rotation(key_id, errors={"overlap": refusal.detail})
    return show_made(row, None if done.is_replay else drawn)


@permitted(Permission.KEYS_MANAGE)
def ask_end(key_id: UUID) -> Response:
    return _question(key_id, "api_key_end.html", "End")


@permitted(Permission.KEYS_MANAGE)
def end(key_id: UUID) -> Response:
    with looking() as session:
        end_key(session, key_id, principal(), now=clock.now(session))
    return go(url_for("console.api_keys"))


def _rotation(key_id: UUID, *, errors: dict[str, str] | None = None) -> Response:
    return _question(
        key_id,
        "api_key_rotate.html",
        "Replace",
        status=422 if errors else 200,
        errors=errors or {},
        overlaps=OVERLAPS,
        overlap=request.form.get("overlap", str(OVERLAP_SECONDS)),
        lifetimes=LIFETIMES,
        days=request.form.get("days", "365"),
        form_name=form_name(),
    )


def _question(key_id: UUID, template: str, word: str, **facts: Any) -> Response:
    """Ask before anything is done; a key that has ended leads back to the list."""
    with looking() as session:
        (key,) = _worded(session, [key_row(session, key_id)])
    home = url_for("console.api_keys")
    if not key.is_living and not facts.get("errors"):
        return go(home)
    return page(
        template,
        title=f"{word} – {key.name}",
        section="api-keys",
        crumbs=[("API keys", home), (key.name, None)],
        key=key,
        home=home,
        **facts,
    )


def _worded(session: Session, rows: list[Any]) -> list[KeyWords]:
    places, now = places_of(session, rows), clock.now(session)
    replaced = {row.replaces for row in rows if row.revoked_at is None}
    return [key_words(row, places, now=now, is_replaced=row.id in replaced) for row in rows]


def key_words(row: Any, places: Places, *, now: datetime, is_replaced: bool) -> KeyWords:
    """A key in words; what is replaced or ends soon is said before it stops to work."""
    is_living = row.revoked_at is None and row.expires_at > now
    if row.revoked_at is not None:
        state = StateWords("Ended", "stop", "")
    elif not is_living:
        state = StateWords("Expired", "clock", "")
    elif is_replaced:
        state = StateWords("Replaced, ends soon", "clock", "warn")
    elif row.expires_at - now < SOON:
        state = StateWords("Expires soon", "clock", "warn")
    else:
        state = StateWords("Works", "check", "good")
    return KeyWords(
        id=row.id,
        name=row.name,
        prefix=row.prefix,
        place=places.of(row),
        scopes=", ".join(SCOPE_WORDS.get(scope, scope) for scope in row.scopes),
        networks=", ".join(row.allowed_cidrs) or "Anywhere",
        state=state,
        is_living=is_living,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )
