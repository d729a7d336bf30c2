"""Discount codes: the list, what is done to several of them, and the list as a file (S2-060, S2-143)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy import Row
from sqlalchemy.orm import Session

from models import clock
from models.discounts import CodeState
from pipelines.access.permissions import Permission, is_allowed
from pipelines.books.codes import CODE_CHARACTERS_MAX
from pipelines.discounts.change import move_discounts
from pipelines.discounts.read import CodeView, Standing, Wanted, beginning, list_codes
from pipelines.queue.keys import RequestInProgress, once
from pipelines.tenants.clients import client_places
from web.console.at_work import still_at_work
from web.console.changes import Change, Line, Place, agree
from web.console.discount_words import STANDINGS, Uses, uses_of, what_it_does, window_words
from web.console.form_names import form_name, key_of_form
from web.console.formats import plural
from web.console.frame import go, page
from web.console.job_words import StateWords
from web.console.person_form import client_choices
from web.console.typed import id_in
from web.console.visit import looking
from web.discount_reports import codes_file, sees_codes
from web.guards import permitted, principal

PAGE_SIZE = 50
TITLE = "Discount codes"
NOTHING_CHOSEN = "Choose the codes first."
#: What is done to several at once, and what is told of it.
MOVES: Mapping[str, tuple[CodeState, str]] = {
    "pause": (CodeState.PAUSED, "paused"),
    "resume": (CodeState.ACTIVE, "resumed"),
    "archive": (CodeState.ARCHIVED, "put away"),
}
COUNT_DIGITS_MAX = 3


@dataclass(frozen=True, slots=True)
class CodeLine:
    """One code of the list."""

    id: UUID
    code: str
    owner: str
    is_assigned: bool
    does: str
    uses: Uses
    window: str
    standing: StateWords


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/discounts", "discounts", show_list, methods=["GET"])
    console.add_url_rule("/discounts.csv", "discounts_csv", download, methods=["GET"])
    console.add_url_rule("/discounts/move", "discounts_move", move, methods=["POST"])


def section_place() -> Place:
    return Place("discounts", ((TITLE, url_for("console.discounts")),))


@permitted(Permission.DISCOUNTS_READ)
def show_list() -> Response:
    return _list({})


@permitted(Permission.DISCOUNTS_MANAGE)
def download() -> Response:
    """What the filter shows, as a file; taking it is in the audit log."""
    return codes_file(_wanted())


@permitted(Permission.DISCOUNTS_MANAGE)
def move() -> Response:
    """Pause or resume the chosen at once; put them away, which is for good, for a reason."""
    asked = request.form.get("do", "")
    chosen = _chosen()
    if asked not in MOVES or not chosen:
        return _list({"codes": NOTHING_CHOSEN})
    if asked == "archive":
        return _put_away(chosen)
    state = MOVES[asked][0]
    moved = 0

    def act() -> UUID:
        nonlocal moved
        actor_id, now = principal().actor_id, clock.now(session)
        moved = move_discounts(session, chosen, state, actor_id=actor_id, now=now)
        return chosen[0]

    try:
        with looking() as session:
            key = key_of_form(principal().actor_id)
            done = once(session, key, act, status=303, resource_kind="discount")
    except RequestInProgress:
        return still_at_work(url_for("console.discounts"))
    return go(url_for("console.discounts", done=asked, moved=None if done.is_replay else moved))


def _put_away(chosen: Sequence[UUID]) -> Response:
    count = plural(len(chosen), "code")
    change = Change(
        title=f"Put away {count}",
        lines=(Line("Chosen", count, "Put away"),),
        note="It is for good. Nobody reserves them any more; who has reserved one can still pay. "
        "They keep their text and their history. Codes that are put away already stay so.",
        button=f"Put away {count}",
        done=url_for("console.discounts", done="archive", moved=len(chosen)),
        kind="discount",
        act=partial(_archive, chosen),
        is_ending=True,
    )
    return agree(section_place(), change, {"do": "archive", "codes": " ".join(map(str, chosen))})


def _archive(chosen: Sequence[UUID], session: Session, reason: str) -> UUID:
    actor_id, now = principal().actor_id, clock.now(session)
    move_discounts(session, chosen, CodeState.ARCHIVED, actor_id=actor_id, now=now, reason=reason)
    return chosen[0]


def _chosen() -> list[UUID]:
    """The codes that were chosen in the list, or stand in the form that asks again."""
    texts = request.form.getlist("code_id") or request.form.get("codes", "").split()
    return [one for one in map(id_in, texts) if one is not None][:PAGE_SIZE]


def _wanted() -> Wanted:
    asked = request.args.get("standing", "")
    return Wanted(
        Standing(asked) if asked in set(Standing) else None,
        beginning(_words()),
        id_in(request.args.get("client")),
        id_in(request.args.get("batch")),
    )


def _words() -> str:
    words = "".join(one for one in request.args.get("find", "") if one.isprintable()).strip()
    return words[:CODE_CHARACTERS_MAX]


def _list(errors: Mapping[str, str]) -> Response:
    caller, wanted = principal(), _wanted()
    before = id_in(request.args.get("before"))
    with looking() as session:
        now = clock.now(session)
        found = list_codes(
            session, wanted, now=now, before=before, limit=PAGE_SIZE + 1, opens=sees_codes()
        )
        shown = found[:PAGE_SIZE]
        places = client_places(session, {one.row.client_id for one in shown})
    chosen: dict[str, Any] = {
        "standing": wanted.standing,
        "find": _words() or None,
        "client": wanted.client_id,
        "batch": wanted.batch_id,
    }
    older = None
    if len(found) > PAGE_SIZE:
        older = url_for("console.discounts", **chosen, before=shown[-1].row.id)
    return page(
        "discounts.html",
        title=TITLE,
        section="discounts",
        crumbs=[(TITLE, None)],
        status=422 if errors else 200,
        errors=errors,
        codes=[_line(one, places[one.row.client_id]) for one in shown],
        filters=[(one, words.word) for one, words in STANDINGS.items()],
        chosen=chosen,
        is_filtered=any(chosen.values()),
        clients=client_choices(caller),
        older=older,
        is_later_page=before is not None,
        picked=set(request.form.getlist("code_id")),
        may_manage=is_allowed(caller, Permission.DISCOUNTS_MANAGE),
        form_name=form_name(),
        done=_done(),
    )


def _line(view: CodeView, place: Row[Any]) -> CodeLine:
    row = view.row
    return CodeLine(
        row.id,
        row.code,
        "" if principal().client_id is not None else place.name,
        row.is_assigned,
        what_it_does(view.rules),
        uses_of(row),
        window_words(view.rules, place.time_zone),
        STANDINGS[view.standing],
    )


def _done() -> str | None:
    """What the form before this page did, with its number."""
    asked, count = request.args.get("done", ""), request.args.get("moved", "")
    is_number = count.isascii() and count.isdigit() and len(count) <= COUNT_DIGITS_MAX
    if asked not in MOVES or not is_number:
        return None
    return f"{plural(int(count), 'code')} {'was' if count == '1' else 'were'} {MOVES[asked][1]}."
