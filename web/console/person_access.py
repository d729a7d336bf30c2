"""Sign a person out everywhere at the console, and take a lost second factor away (SEC-04)."""

from uuid import UUID

from flask import Blueprint, Response, url_for

from models import clock
from pipelines.access.manage_users import is_below, reset_second_factor, sign_out
from pipelines.access.permissions import Permission
from pipelines.access.read_users import user_row
from pipelines.access.second_factor import has_second_factor
from web.console.frame import go, page
from web.console.people import NAMELESS
from web.console.visit import looking
from web.guards import freshly_proven, permitted, principal


def add_pages(console: Blueprint) -> None:
    home = "/people/<uuid:user_id>"
    factor = f"{home}/reset-second-factor"
    console.add_url_rule(f"{home}/sign-out", "person_out", end_sessions, methods=["POST"])
    console.add_url_rule(factor, "person_factor", ask, methods=["GET"])
    console.add_url_rule(factor, "person_factor_now", reset, methods=["POST"])


@permitted(Permission.USERS_MANAGE)
def end_sessions(user_id: UUID) -> Response:
    """Sign the person out everywhere, at once; they may sign in again."""
    with looking() as session:
        sign_out(session, principal(), user_id, now=clock.now(session))
    return go(url_for("console.person", user_id=user_id))


@permitted(Permission.USERS_MANAGE)
def ask(user_id: UUID) -> Response:
    """Ask before it is taken away; where there is none the way leads back to the person."""
    caller, home = freshly_proven(), url_for("console.person", user_id=user_id)
    with looking() as session:
        row = user_row(session, user_id)
        has_factor = has_second_factor(session, user_id)
    if not has_factor or not is_below(caller, row):
        return go(home)
    name = row.name or row.email or NAMELESS
    return page(
        "person_factor.html",
        title=f"Reset the second factor – {name}",
        section="people",
        crumbs=[
            ("People", url_for("console.people")),
            (name, home),
            ("Reset the second factor", None),
        ],
        name=name,
        email=row.email,
        home=home,
    )


@permitted(Permission.USERS_MANAGE)
def reset(user_id: UUID) -> Response:
    caller = freshly_proven()
    with looking() as session:
        reset_second_factor(session, caller, user_id, now=clock.now(session))
    return go(url_for("console.person", user_id=user_id))
