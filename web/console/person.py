"""The page of one person: who they are, and what somebody above them may do about it."""

from uuid import UUID

from flask import Blueprint, Response, request, url_for

from models import clock
from models.people import Role
from pipelines.access.delegation import is_same_tier
from pipelines.access.manage_users import UserChange, allow_tries, change_user, is_below
from pipelines.access.permissions import Permission, is_allowed
from pipelines.access.places import places_of
from pipelines.access.read_users import open_sign_ins, rests_until, user_row
from pipelines.access.second_factor import has_second_factor
from web.console.frame import go, page
from web.console.people import person_words
from web.console.reasons import typed_reason
from web.console.role_words import WHO, roles_below
from web.console.visit import looking
from web.guards import freshly_proven, permitted, principal

NO_REASON = "Say in a few words why; it is kept in the audit log."


def add_pages(console: Blueprint) -> None:
    home = "/people/<uuid:user_id>"
    console.add_url_rule(home, "person", show)
    console.add_url_rule(f"{home}/role", "person_role", give_role, methods=["POST"])
    console.add_url_rule(f"{home}/disable", "person_disable", ask, methods=["GET"])
    console.add_url_rule(f"{home}/disable", "person_disable_now", disable, methods=["POST"])
    console.add_url_rule(f"{home}/enable", "person_enable", enable, methods=["POST"])
    console.add_url_rule(f"{home}/allow-tries", "person_tries", let_try, methods=["POST"])


@permitted(Permission.USERS_MANAGE)
def show(user_id: UUID) -> Response:
    return _person(user_id)


@permitted(Permission.USERS_MANAGE)
def give_role(user_id: UUID) -> Response:
    """Give another role of the same tier; one that is none of those is asked for again."""
    freshly_proven()
    chosen = request.form.get("role", "")
    if chosen not in set(Role):
        return _person(user_id, errors={"role": "Choose a role."})
    return _changed(user_id, UserChange(role=Role(chosen)))


@permitted(Permission.USERS_MANAGE)
def ask(user_id: UUID) -> Response:
    return _question(user_id)


@permitted(Permission.USERS_MANAGE)
def disable(user_id: UUID) -> Response:
    """Disable for a reason; without one the question is asked again."""
    reason = typed_reason()
    if not reason:
        return _question(user_id, errors={"reason": NO_REASON})
    return _changed(user_id, UserChange(is_disabled=True, reason=reason))


@permitted(Permission.USERS_MANAGE)
def enable(user_id: UUID) -> Response:
    freshly_proven()
    return _changed(user_id, UserChange(is_disabled=False))


@permitted(Permission.USERS_MANAGE)
def let_try(user_id: UUID) -> Response:
    with looking() as session:
        allow_tries(session, principal(), user_id)
    return go(url_for("console.person", user_id=user_id))


def _changed(user_id: UUID, change: UserChange) -> Response:
    with looking() as session:
        change_user(session, principal(), user_id, change, now=clock.now(session))
    return go(url_for("console.person", user_id=user_id))


def _person(user_id: UUID, *, errors: dict[str, str] | None = None) -> Response:
    caller = principal()
    with looking() as session:
        row = user_row(session, user_id)
        person = person_words(row, places_of(session, [row]))
        rests = rests_until(session, row.email)
        places = open_sign_ins(session, user_id, now=clock.now(session))
        has_factor = has_second_factor(session, user_id)
    role = Role(row.role)
    return page(
        "person.html",
        title=person.name,
        section="people",
        crumbs=[("People", url_for("console.people")), (person.name, None)],
        status=422 if errors else 200,
        person=person,
        meaning=WHO[role],
        role=row.role,
        roles=[pair for pair in roles_below(caller.role) if is_same_tier(role, Role(pair[0]))],
        is_disabled=row.disabled_at is not None,
        disabled_at=row.disabled_at,
        rests_until=rests,
        sign_ins=places,
        has_factor=has_factor,
        created_at=row.created_at,
        is_own=row.id == caller.actor_id,
        may_change=is_below(caller, row),
        may_look=bool(row.agency_id) and is_allowed(caller, Permission.IMPERSONATE),
        errors=errors or {},
    )


def _question(user_id: UUID, *, errors: dict[str, str] | None = None) -> Response:
    home = url_for("console.person", user_id=user_id)
    with looking() as session:
        row = user_row(session, user_id)
        person = person_words(row, places_of(session, [row]))
        places = open_sign_ins(session, user_id, now=clock.now(session))
    if row.disabled_at is not None or not is_below(principal(), row):
        return go(home)
    return page(
        "person_disable.html",
        title=f"Disable – {person.name}",
        section="people",
        crumbs=[("People", url_for("console.people")), (person.name, home), ("Disable", None)],
        status=422 if errors else 200,
        person=person,
        sign_ins=places,
        home=home,
        errors=errors or {},
    )
