"""The page of a discount code: rules by version, counts, live slots, and what can be done to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy import Row
from sqlalchemy.orm import Session

from models import clock
from models.discounts import CodeState
from pipelines.access.permissions import Permission, is_allowed
from pipelines.discounts.change import move_discount
from pipelines.discounts.read import CodeView, Standing, read_code
from pipelines.discounts.refusals import CodeArchived
from pipelines.discounts.stored_rules import rules_of
from pipelines.discounts.story import LIVE_SHOWN, live_reservations, rules_by_version
from pipelines.errors import Refusal
from pipelines.queue.keys import RequestInProgress, once
from pipelines.tenants.clients import client_places
from web.audit_seen import look_up_names
from web.console.at_work import still_at_work
from web.console.audit_words import UNKNOWN_ACTOR
from web.console.changes import Change, Line, Place, agree
from web.console.discount_words import (
    EFFECTS,
    STANDINGS,
    applied,
    held_words,
    limit_words,
    option_words,
    time_left,
    uses_of,
    what_it_does,
    whose_words,
    window_words,
)
from web.console.discounts import TITLE
from web.console.form_names import form_name, key_of_form
from web.console.formats import money, plural
from web.console.frame import go, page
from web.console.visit import looking
from web.discount_reports import sees_codes
from web.front import front
from web.guards import permitted, principal

DONE = {
    "created": "The code is made.",
    "changed": "The code is changed. Rules that changed are for reservations made from now on.",
    "paused": "The code is paused: nobody reserves it until it is resumed.",
    "resumed": "The code is taken into use again.",
    "archived": "The code is put away.",
    "released": "The slot is given back: another customer can have it.",
}
_CLOSED = {Standing.DRAINING, Standing.ARCHIVED}


@dataclass(frozen=True, slots=True)
class VersionLine:
    """One version of the rules."""

    number: int
    does: str
    window: str
    since: datetime
    by: str


@dataclass(frozen=True, slots=True)
class SlotLine:
    """A slot that somebody has reserved, and that is not settled yet."""

    id: UUID
    cart: str
    whose: str
    version: int
    discount: str
    #: The other codes of the cart.
    beside: str
    total: str
    expires_at: datetime
    left: str
    #: Why no time runs, where none does.
    held: str | None


def add_pages(console: Blueprint) -> None:
    path = "/discounts/<uuid:discount_id>"
    console.add_url_rule(path, "discount", show, methods=["GET"])
    console.add_url_rule(f"{path}/pause", "discount_pause", pause, methods=["POST"])
    console.add_url_rule(f"{path}/resume", "discount_resume", resume, methods=["POST"])
    console.add_url_rule(f"{path}/archive", "discount_archive", put_away, methods=["GET", "POST"])


def place(view: CodeView, *below: tuple[str, str | None]) -> list[tuple[str, str | None]]:
    """The crumbs of a page of the code."""
    home = url_for("console.discount", discount_id=view.row.id)
    return [(TITLE, url_for("console.discounts")), (view.row.code, home), *below]


def home_place(view: CodeView) -> Place:
    home = url_for("console.discount", discount_id=view.row.id)
    return Place("discounts", ((TITLE, url_for("console.discounts")), (view.row.code, home)))


@permitted(Permission.DISCOUNTS_READ)
def show(discount_id: UUID) -> Response:
    return _page(discount_id)


@permitted(Permission.DISCOUNTS_MANAGE)
def pause(discount_id: UUID) -> Response:
    """Take no new reservations; those that are there may be paid (EC-004)."""
    return _moved(discount_id, CodeState.PAUSED, "paused")


@permitted(Permission.DISCOUNTS_MANAGE)
def resume(discount_id: UUID) -> Response:
    return _moved(discount_id, CodeState.ACTIVE, "resumed")


@permitted(Permission.DISCOUNTS_MANAGE)
def put_away(discount_id: UUID) -> Response:
    """For good, and for a reason (EC-026)."""
    with looking() as session:
        view = read_code(session, discount_id, now=clock.now(session), opens=True)
    live = plural(view.row.reserved, "reservation")
    then = "Put away" if not view.row.reserved else "Draining, until the last one is settled"
    change = Change(
        title=f"Put away {view.row.code}",
        lines=(
            Line("The code", STANDINGS[view.standing].word, then),
            Line("Reserved and not paid yet", live, "Can still be paid"),
        ),
        note="It is for good: nobody reserves it any more. It keeps its text and its history, and "
        "no other code of the client gets this text.",
        button="Put the code away",
        done=url_for("console.discount", discount_id=discount_id, done="archived"),
        kind="discount",
        act=partial(_archive, discount_id),
        is_ending=True,
    )
    return agree(home_place(view), change, {})


def _archive(discount_id: UUID, session: Session, reason: str) -> UUID:
    now, actor_id = clock.now(session), principal().actor_id
    state = CodeState.ARCHIVED
    move_discount(session, discount_id, state, actor_id=actor_id, now=now, reason=reason)
    return discount_id


def _moved(discount_id: UUID, state: CodeState, done: str) -> Response:
    home, actor_id = url_for("console.discount", discount_id=discount_id), principal().actor_id

    def moved() -> UUID:
        move_discount(session, discount_id, state, actor_id=actor_id, now=clock.now(session))
        return discount_id

    try:
        with looking() as session:
            once(session, key_of_form(actor_id), moved, status=200, resource_kind="discount")
    except RequestInProgress:
        return still_at_work(home)
    except CodeArchived as refusal:
        return _page(discount_id, refusal)
    return go(url_for("console.discount", discount_id=discount_id, done=done))


def _page(discount_id: UUID, refusal: Refusal | None = None) -> Response:
    caller = principal()
    with looking() as session:
        view = read_code(session, discount_id, now=clock.now(session), opens=sees_codes())
        whose = client_places(session, [view.row.client_id])[view.row.client_id]
        versions = rules_by_version(session, discount_id)
        live = live_reservations(session, discount_id)
    makers = (row.created_by for row in versions)
    names = look_up_names(front().house.sessions, caller, makers)
    zone = whose.time_zone
    return page(
        "discount.html",
        title=view.row.code,
        section="discounts",
        crumbs=[*place(view)[:-1], (view.row.code, None)],
        status=409 if refusal is not None else 200,
        errors={"title": refusal.detail} if refusal is not None else {},
        code=view.row,
        owner="" if caller.client_id is not None else whose.name,
        standing=STANDINGS[view.standing],
        effect=EFFECTS[view.standing],
        does=what_it_does(view.rules),
        rules=view.rules,
        whose=whose_words(view.row),
        window=window_words(view.rules, zone),
        limits=limit_words(view.row),
        options=option_words(view.row),
        uses=uses_of(view.row),
        versions=_versions(versions, names, zone),
        live=[_slot(row, view) for row in live],
        live_cut=view.row.reserved > LIVE_SHOWN,
        live_max=LIVE_SHOWN,
        is_closed=view.standing in _CLOSED,
        is_paused=view.standing is Standing.PAUSED,
        may_manage=is_allowed(caller, Permission.DISCOUNTS_MANAGE),
        may_see_purchases=is_allowed(caller, Permission.PURCHASES_READ),
        may_audit=is_allowed(caller, Permission.AUDIT_READ),
        form_name=form_name(),
        done=DONE.get(request.args.get("done", "")),
    )


def _versions(rows: Sequence[Row[Any]], names: Mapping[UUID, str], zone: str) -> list[VersionLine]:
    found = []
    for row in rows:
        rules = rules_of(row)
        by = names.get(row.created_by) or UNKNOWN_ACTOR
        window = window_words(rules, zone)
        found.append(VersionLine(row.version, what_it_does(rules), window, row.created_at, by))
    return found


def _slot(row: Row[Any], view: CodeView) -> SlotLine:
    return SlotLine(
        row.id,
        row.cart_reference,
        "Guest" if row.user_id is None else "Known customer",
        row.rules_version,
        money(row.discount_minor, row.currency),
        applied([one for one in row.codes if one["code_id"] != str(view.row.id)]),
        money(row.total_minor, row.currency),
        row.expires_at,
        time_left(row.expires_at, view.now),
        held_words(row.payment_state),
    )
