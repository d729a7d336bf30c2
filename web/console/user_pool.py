"""A pool of people: who is in it, a look-up, a file of them, and taking people out."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy import Row

from pipelines.access.permissions import Permission, is_allowed
from pipelines.access.places import places_of
from pipelines.access.rate_policies import Policy
from pipelines.limits import DEFAULTS
from pipelines.queue.keys import RequestInProgress, once
from pipelines.user_pools import pools, read
from pipelines.user_pools.add_members import People
from pipelines.user_pools.find_person import find_person
from pipelines.user_pools.remove_members import remove_members
from web.console.at_work import still_at_work
from web.console.form_names import form_name, key_of_form
from web.console.formats import plural
from web.console.frame import go, page
from web.console.job_words import StateWords
from web.console.typed import id_in
from web.console.visit import looking
from web.front import front
from web.guards import permitted, principal
from web.rate_limits import limited

PAGE_SIZE = 50
WORDS_CHARACTERS_MAX = 320
#: Digits of a number of people in an address.
COUNT_DIGITS_MAX = 6
NOBODY_CHOSEN = "Choose whom to remove, with the boxes before their names."
ACTIVE = StateWords("Active", "check", "good")
DISABLED = StateWords("Disabled", "stop", "bad")
DONE = {
    "created": "The pool is made and empty. Add people to it.",
    "changed": "The pool’s settings are saved.",
    "archived": "The pool is put away. Its people stay in it; nobody is added and nothing is distributed.",
    "restored": "The pool is in use again.",
}


@dataclass(frozen=True, slots=True)
class MemberLine:
    """One person of the table."""

    id: UUID
    #: What they are best called by: address, external id, or our id.
    called: str
    name: str
    email: str
    external_id: str
    state: StateWords
    added_at: datetime | None = None


def add_pages(console: Blueprint) -> None:
    path = "/user-pools/<uuid:user_pool_id>"
    console.add_url_rule(path, "user_pool", show, methods=["GET"])
    console.add_url_rule(f"{path}/remove", "user_pool_remove", remove, methods=["POST"])
    console.add_url_rule(f"{path}/members.csv", "user_pool_members", download, methods=["GET"])


@permitted(Permission.USER_POOLS_READ)
def show(user_pool_id: UUID) -> Response:
    return _page(user_pool_id)


@permitted(Permission.USER_POOLS_MANAGE)
@limited(Policy.SUBMIT)
def remove(user_pool_id: UUID) -> Response:
    """Take out the one whose button was pressed, or the chosen; what they were given stays theirs."""
    caller = principal()
    only = id_in(request.form.get("only"))
    chosen = [only] if only else [id_in(text) for text in request.form.getlist("user_id")]
    people = People(
        user_ids=[one for one in chosen if one is not None][: DEFAULTS.inline_recipients_max]
    )
    home = url_for("console.user_pool", user_pool_id=user_pool_id)
    with looking() as session:
        pools.pool(session, user_pool_id)
    if not people.user_ids:
        return _page(user_pool_id, NOBODY_CHOSEN)
    removed = 0
    try:
        with looking() as session:

            def taken_out() -> UUID:
                nonlocal removed
                done = remove_members(session, user_pool_id, people, actor_id=caller.actor_id)
                removed = done.removed
                return user_pool_id

            key = key_of_form(caller.actor_id)
            once(session, key, taken_out, status=303, resource_kind="user_pool")
    except RequestInProgress:
        return still_at_work(home)
    return go(url_for("console.user_pool", user_pool_id=user_pool_id, removed=removed))


@permitted(Permission.USER_POOLS_READ)
def download(user_pool_id: UUID) -> Response:
    """Who is in the pool, as a file that can be uploaded again; taking it is in the audit log."""
    sessions, caller = front().house.sessions, principal()
    with looking() as session:
        pool = pools.pool(session, user_pool_id)
        told = {"members": pool.members}
        pools.audit_pool(session, "user_pool.exported", pool, caller.actor_id, told)
    response = Response(read.members_csv(sessions, caller.scope, user_pool_id), mimetype="text/csv")
    name = f"pool-{str(user_pool_id)[-12:]}.csv"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Cache-Control"] = "no-store"
    return response


def _page(user_pool_id: UUID, wrong: str | None = None) -> Response:
    caller = principal()
    words = "".join(c for c in request.args.get("q", "") if c.isprintable()).strip()
    words = words[:WORDS_CHARACTERS_MAX]
    after = id_in(request.args.get("after"))
    with looking() as session:
        pool = pools.pool(session, user_pool_id)
        place = places_of(session, [pool]).of(pool) if caller.client_id is None else ""
        found = read.list_members(session, pool, words=words, after=after, limit=PAGE_SIZE + 1)
        outside = find_person(session, pool.client_id, words) if words and not found else None
    members = [member_line(row) for row in found[:PAGE_SIZE]]
    further = None
    if len(found) > PAGE_SIZE:
        further = url_for(
            "console.user_pool", user_pool_id=pool.id, q=words or None, after=members[-1].id
        )
    return page(
        "user_pool.html",
        title=pool.name,
        section="user-pools",
        crumbs=[("Pools of people", url_for("console.user_pools")), (pool.name, None)],
        status=422 if wrong else 200,
        errors={"members": wrong} if wrong else {},
        pool=pool,
        place=place,
        size=plural(pool.members, "person", "people"),
        is_open=pool.archived_at is None,
        members=members,
        words=words,
        is_first=after is None,
        further=further,
        outside=member_line(outside) if outside else None,
        chosen=set(request.form.getlist("user_id")),
        may_manage=is_allowed(caller, Permission.USER_POOLS_MANAGE),
        may_assign=is_allowed(caller, Permission.COUPONS_ASSIGN),
        may_audit=is_allowed(caller, Permission.AUDIT_READ),
        form_name=form_name(),
        done=DONE.get(request.args.get("done", "")) or _counted(),
    )


def _counted() -> str | None:
    """What the form before this page did, with its number."""
    for name, verb in (("added", "added to"), ("removed", "removed from")):
        text = request.args.get(name, "")
        if text.isascii() and text.isdigit() and len(text) <= COUNT_DIGITS_MAX:
            count = int(text)
            was = "was" if count == 1 else "were"
            return f"{plural(count, 'person', 'people')} {was} {verb} the pool."
    return None


def member_line(row: Row[Any]) -> MemberLine:
    """A person as the client knows them."""
    return MemberLine(
        id=row.user_id,
        called=row.email or row.external_id or str(row.user_id),
        name=row.name or "",
        email=row.email or "–",
        external_id=row.external_id or "–",
        state=ACTIVE if row.is_active else DISABLED,
        added_at=getattr(row, "added_at", None),
    )
