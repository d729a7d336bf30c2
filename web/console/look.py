"""Look through a person's eyes in the console, beside one's own session, and stop (SEC-30)."""

from uuid import UUID

from flask import Blueprint, Response, request, url_for

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.access.impersonation import (
    Look,
    NotToBeImpersonated,
    begin_look,
    end_look,
    may_be_looked_through,
)
from pipelines.access.links import draw_token, token_hash
from pipelines.access.permissions import Permission
from pipelines.access.read_users import user_of_address, user_row
from pipelines.audit.record import REASON_CHARACTERS_MAX
from pipelines.errors import NotFound
from web.console.frame import go, page
from web.console.links import EMAIL_CHARACTERS_MAX
from web.console.person_form import address
from web.console.visit import hand_cookie, look_cookie_name, looking, take_cookie
from web.devices import this_device
from web.front import front
from web.guards import freshly_proven, permitted, principal

TICKET_CHARACTERS_MAX = 100


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/look", "look_find", find, methods=["GET"])
    console.add_url_rule("/look", "look_found", found, methods=["POST"])
    console.add_url_rule("/people/<uuid:user_id>/look", "look", ask, methods=["GET"])
    console.add_url_rule("/people/<uuid:user_id>/look", "look_now", begin, methods=["POST"])
    console.add_url_rule("/look/stop", "look_stop", stop, methods=["POST"])


@permitted(Permission.IMPERSONATE)
def find() -> Response:
    """Where support begins, who has no list of people."""
    freshly_proven()
    return _search()


@permitted(Permission.IMPERSONATE)
def found() -> Response:
    """The person of a whole address, which is sent in a form so that no log has it."""
    freshly_proven()
    typed = request.form.get("email", "").strip()[:EMAIL_CHARACTERS_MAX]
    try:
        with looking() as session:
            person = user_of_address(session, address(typed))
    except NotFound:
        return _search(typed, "Nobody has this address.")
    if not may_be_looked_through(person):
        return _search(typed, NotToBeImpersonated.detail)
    return go(url_for("console.look", user_id=person.id))


@permitted(Permission.IMPERSONATE)
def ask(user_id: UUID) -> Response:
    freshly_proven()
    return _form(user_id)


@permitted(Permission.IMPERSONATE)
def begin(user_id: UUID) -> Response:
    """Begin to look; one's own session stays beside it."""
    house, caller = front().house, freshly_proven()
    reason, ticket = (
        request.form.get(name, "").strip()[:longest]
        for name, longest in (("reason", REASON_CHARACTERS_MAX), ("ticket", TICKET_CHARACTERS_MAX))
    )
    errors = {
        name: words
        for name, value, words in (
            ("reason", reason, "Say why, in one line; the person's tenant reads it."),
            ("ticket", ticket, "Name the ticket in which they asked for help."),
        )
        if not value or not value.isprintable()
    }
    if errors:
        return _form(user_id, errors, status=422)
    token = draw_token()
    with scoped_transaction(house.sessions, SYSTEM) as session:
        begin_look(
            session,
            caller,
            Look(user_id, reason, ticket),
            limits=house.limits,
            now=clock.now(session),
            device=this_device(),
            token_hash=token_hash(token),
        )
    response = go(url_for("console.overview"))
    hand_cookie(response, token, name=look_cookie_name())
    return response


@permitted(Permission.OWN_ACCOUNT, before_enrolment=True)
def stop() -> Response:
    """Stop looking, and be oneself again."""
    caller = principal()
    if caller.acting_for is not None:
        with scoped_transaction(front().house.sessions, SYSTEM) as session:
            end_look(session, caller, now=clock.now(session))
    response = go(url_for("console.overview"))
    take_cookie(response, look_cookie_name())
    return response


def _search(typed: str = "", wrong: str | None = None) -> Response:
    return page(
        "look_find.html",
        title="Look as a person",
        section="look",
        status=422 if wrong else 200,
        typed=typed,
        errors={"email": wrong} if wrong else {},
    )


def _form(user_id: UUID, errors: dict[str, str] | None = None, *, status: int = 200) -> Response:
    with looking() as session:
        person = user_row(session, user_id)
    return page(
        "look.html",
        title="Look as this person",
        section="look",
        status=status,
        person=person,
        errors=errors or {},
        typed=request.form,
        minutes=front().house.limits.impersonation_seconds // 60,
    )
