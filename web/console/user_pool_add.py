"""Add people to a pool: a list that is typed or pasted, answered row by row, or a file as a job."""

from dataclasses import dataclass
from typing import BinaryIO, cast
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy import Row

from pipelines.access.permissions import Permission
from pipelines.access.rate_policies import Policy
from pipelines.errors import Kind, Refusal
from pipelines.jobs.kinds import OnError
from pipelines.limits import DEFAULTS
from pipelines.queue.keys import RequestInProgress, once
from pipelines.user_pools import pools
from pipelines.user_pools.accept_import import Import, accept_import
from pipelines.user_pools.add_members import Added, add_members
from pipelines.user_pools.refusals import EntriesRefused, PoolArchived
from web.admission import intake_slot
from web.backpressure import saturation_now
from web.console.at_work import still_at_work, told_when
from web.console.form_names import form_name, key_of_form
from web.console.frame import go, page
from web.console.people_typed import LeftOut, PeopleTyped, added_words, people_typed
from web.console.visit import looking
from web.errors import STATUS
from web.front import front
from web.guards import permitted, principal
from web.rate_limits import limited

LIST_CHARACTERS_MAX = 330_000
NAME_CHARACTERS_MAX = 255
PEOPLE_MAX = DEFAULTS.inline_recipients_max
NOBODY = "Give at least one address, user id or external id."
TOO_MANY = f"Give at most {PEOPLE_MAX:,} people here; more go through a file."
NO_FILE = "Choose a CSV file that is not empty."


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a list: a sentence, and the lines that added nobody."""

    sentence: str
    rows: tuple[LeftOut, ...]


def add_pages(console: Blueprint) -> None:
    path = "/user-pools/<uuid:user_pool_id>/add"
    console.add_url_rule(path, "user_pool_add", show, methods=["GET"])
    console.add_url_rule(path, "user_pool_people", add, methods=["POST"])
    console.add_url_rule(f"{path}/file", "user_pool_file", take_file, methods=["POST"])


@permitted(Permission.USER_POOLS_MANAGE)
def show(user_pool_id: UUID) -> Response:
    """The two forms; an address may propose whom a search has found."""
    return _page(user_pool_id, typed=request.args.get("who", "")[:320])


@permitted(Permission.USER_POOLS_MANAGE)
@limited(Policy.SUBMIT)
def add(user_pool_id: UUID) -> Response:
    """Add whom the lines name; what added nobody stands in a table, line by line."""
    text = request.form.get("people", "")[:LIST_CHARACTERS_MAX]
    typed = people_typed(text, all_external=request.form.get("named_by") == "external_id")
    with looking() as session:
        pools.pool(session, user_pool_id)
    if not typed.lines or len(typed.lines) > PEOPLE_MAX:
        amiss = TOO_MANY if typed.lines else NOBODY
        return _page(user_pool_id, {"people": amiss}, typed=text)
    try:
        added = _added(user_pool_id, typed)
    except RequestInProgress:
        return still_at_work(url_for("console.user_pool", user_pool_id=user_pool_id))
    except EntriesRefused as refusal:
        told = Told("", typed.pointed(refusal.errors))
        wrong = {"people": "Nobody was added. Correct these lines, or add the others alone."}
        return _page(user_pool_id, wrong, typed=text, told=told)
    except PoolArchived as refusal:
        wrong = {"people": refusal.detail}
        return _page(user_pool_id, wrong, typed=text, status=STATUS[refusal.kind])
    if added is None or not added.left_out:
        count = added.tally.good if added else None
        return go(url_for("console.user_pool", user_pool_id=user_pool_id, added=count))
    told = Told(added_words(added), typed.placed(added.left_out))
    return _page(user_pool_id, typed="\n".join(row.text for row in told.rows), told=told)


def _added(user_pool_id: UUID, typed: PeopleTyped) -> Added | None:
    """What was added; None for a form that was sent before."""
    caller, added = principal(), None
    with looking() as session:

        def write() -> UUID:
            nonlocal added
            added = add_members(
                session,
                user_pool_id,
                typed.people,
                on_error=OnError.SKIP if "skip" in request.form else OnError.ABORT,
                makes="create_missing" in request.form,
                actor_id=caller.actor_id,
            )
            return user_pool_id

        key = key_of_form(caller.actor_id)
        once(session, key, write, status=303, resource_kind="user_pool")
    return added


@permitted(Permission.USER_POOLS_MANAGE)
@limited(Policy.UPLOAD)
def take_file(user_pool_id: UUID) -> Response:
    """Accept a file of people; the page of its job tells what became of each row."""
    house, caller, saturated = front().house, principal(), saturation_now()
    with looking() as session:
        pools.pool(session, user_pool_id)
    given = request.files.get("file")
    if given is None or not given.filename:
        return _page(user_pool_id, {"file": NO_FILE})
    asked = Import(
        user_pool_id,
        OnError.SKIP if "skip" in request.form else OnError.ABORT,
        makes="create_missing" in request.form,
        file_name=given.filename[:NAME_CHARACTERS_MAX],
    )
    try:
        with intake_slot(), looking() as session:
            done = accept_import(
                session,
                asked,
                cast("BinaryIO", given.stream),
                actor_id=caller.actor_id,
                key=key_of_form(caller.actor_id),
                keyring=house.settings.keyring,
                limits=house.limits,
                saturated=saturated,
            )
    except RequestInProgress:
        return still_at_work(url_for("console.user_pool", user_pool_id=user_pool_id))
    except Refusal as refusal:
        if refusal.kind in {Kind.NOT_FOUND, Kind.FORBIDDEN}:
            raise
        again = _page(user_pool_id, {"file": refusal.detail}, status=STATUS[refusal.kind])
        return told_when(again, refusal)
    return go(url_for("console.job", job_id=done.job_id))


def _page(
    user_pool_id: UUID,
    errors: dict[str, str] | None = None,
    *,
    typed: str = "",
    told: Told | None = None,
    status: int | None = None,
) -> Response:
    with looking() as session:
        pool: Row[object] = pools.pool(session, user_pool_id)
    home = url_for("console.user_pool", user_pool_id=user_pool_id)
    return page(
        "user_pool_add.html",
        title=f"Add people to {pool.name}",
        section="user-pools",
        crumbs=[
            ("Pools of people", url_for("console.user_pools")),
            (pool.name, home),
            ("Add people", None),
        ],
        status=status or (422 if errors else 200),
        pool=pool,
        home=home,
        is_open=pool.archived_at is None,
        errors=errors or {},
        typed=typed,
        told=told,
        named_by=request.form.get("named_by", ""),
        skips="skip" in request.form,
        makes="create_missing" in request.form,
        people_max=PEOPLE_MAX,
        rows_max=DEFAULTS.csv_rows_max,
        bytes_max=DEFAULTS.intake_inline_bytes_max,
        form_name=form_name(),
    )
