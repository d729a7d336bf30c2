"""The people of the visitor's tenant and below: the list with its filters, and what roles mean."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy.orm import Session

from models.people import Role
from pipelines.access.permissions import GRANTS, Permission
from pipelines.access.places import Places, places_of
from pipelines.access.read_users import Wanted, list_users
from web.console.frame import page
from web.console.job_words import StateWords
from web.console.role_words import ACTIONS, ROLES, SCOPE_WORDS, WHO
from web.console.typed import id_in
from web.console.visit import looking
from web.guards import permitted

PAGE_SIZE = 50
#: Who came by a client's own id of them alone.
NAMELESS = "A person without a name"
WORDS_CHARACTERS_MAX = 320
STATES = {"active": "Active", "disabled": "Disabled"}
#: Roles that a list is of; end users are too many to stand among the others.
LISTED = {role.value: words for role, words in ROLES.items() if role is not Role.STOREFRONT_KEY}


@dataclass(frozen=True, slots=True)
class PersonWords:
    """One person as the pages say it."""

    id: UUID
    name: str
    email: str
    role: str
    place: str
    state: StateWords
    last_sign_in_at: datetime | None


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/people", "people", show)
    console.add_url_rule("/roles", "roles", show_roles)


@permitted(Permission.USERS_MANAGE)
def show() -> Response:
    """People in the visitor's scope, newest first; an unknown filter shows all who work here."""
    role, state = request.args.get("role", ""), request.args.get("state", "")
    chosen = Role(role) if role in LISTED else None
    words = "".join(c for c in request.args.get("q", "") if c.isprintable()).strip()
    words = "" if chosen is Role.END_USER else words[:WORDS_CHARACTERS_MAX]
    wanted = Wanted(chosen, {"active": False, "disabled": True}.get(state), words)
    with looking() as session:
        rows = list_users(
            session, wanted, before=id_in(request.args.get("before")), limit=PAGE_SIZE + 1
        )
        people = worded_people(session, rows[:PAGE_SIZE])
    kept: dict[str, Any] = {
        "role": chosen,
        "state": state if state in STATES else None,
        "q": words or None,
    }
    older = None
    if len(rows) > PAGE_SIZE:
        older = url_for("console.people", **kept, before=people[-1].id)
    return page(
        "people.html",
        title="People",
        section="people",
        people=people,
        older=older,
        roles=LISTED,
        states=STATES,
        role=kept["role"] or "",
        state=kept["state"] or "",
        words=words,
        is_filtered=any(kept.values()) or id_in(request.args.get("before")) is not None,
    )


@permitted(Permission.OWN_ACCOUNT)
def show_roles() -> Response:
    """What each role may do, as the guards of every door read it."""
    return page(
        "roles.html",
        title="Roles",
        section="people",
        roles=[(ROLES[role], WHO[role]) for role in ROLES],
        actions=[
            (words, [permission in GRANTS[role] for role in ROLES])
            for permission, words in ACTIONS.items()
        ],
        scopes=list(SCOPE_WORDS.items()),
    )


def worded_people(session: Session, rows: list[Any]) -> list[PersonWords]:
    """People in words, with where each of them stands."""
    places = places_of(session, rows)
    return [person_words(row, places) for row in rows]


def person_words(row: Any, places: Places) -> PersonWords:
    if row.disabled_at is not None:
        state = StateWords("Disabled", "stop", "bad")
    else:
        state = StateWords("Active", "check", "good")
    return PersonWords(
        id=row.id,
        name=row.name or row.email or NAMELESS,
        email=row.email or "No address",
        role=ROLES[Role(row.role)],
        place=places.of(row),
        state=state,
        last_sign_in_at=row.last_sign_in_at,
    )
