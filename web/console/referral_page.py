"""The page of a referral program: what it gives, what came of it, its rewards, and what can be done."""

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
from models.referrals import RewardState
from pipelines.access.permissions import Permission, is_allowed
from pipelines.errors import Refusal
from pipelines.queue.keys import RequestInProgress, once
from pipelines.referrals import read
from pipelines.referrals.programs import move_program
from pipelines.referrals.refusals import ProgramArchived
from pipelines.referrals.rules import part_from
from pipelines.tenants.clients import client_places
from web.console.at_work import still_at_work
from web.console.changes import Change, Line, Place, agree
from web.console.discount_words import what_it_does
from web.console.form_names import form_name, key_of_form
from web.console.formats import money, number, plural
from web.console.frame import go, page
from web.console.job_words import StateWords
from web.console.referral_words import EFFECTS, PROGRAMS, REWARDS
from web.console.referrals import TITLE
from web.console.typed import id_in
from web.console.visit import looking
from web.guards import permitted, principal

PAGE_SIZE = 50
DONE = {
    "created": "The program is made. Your shop asks for a customer’s code with its id.",
    "changed": "The program is changed: for codes that are made and purchases that are paid from now on.",
    "paused": "The program is paused with its codes.",
    "resumed": "The program is taken into use again, with its codes.",
    "archived": "The program is put away with its codes.",
}


@dataclass(frozen=True, slots=True)
class RewardLine:
    """One reward of the table; its id is that of the friend's purchase."""

    id: UUID
    code_id: UUID
    code: str
    state: StateWords
    paid_at: datetime
    due_at: datetime
    reward_code_id: UUID | None
    reward_code: str
    is_used: bool


def add_pages(console: Blueprint) -> None:
    path = "/referrals/<uuid:program_id>"
    console.add_url_rule(path, "referral", show, methods=["GET"])
    console.add_url_rule(f"{path}/pause", "referral_pause", pause, methods=["POST"])
    console.add_url_rule(f"{path}/resume", "referral_resume", resume, methods=["POST"])
    console.add_url_rule(f"{path}/archive", "referral_archive", put_away, methods=["GET", "POST"])


@permitted(Permission.DISCOUNTS_READ)
def show(program_id: UUID) -> Response:
    return _page(program_id)


@permitted(Permission.DISCOUNTS_MANAGE)
def pause(program_id: UUID) -> Response:
    """Make no new codes, and pause those that are there."""
    return _moved(program_id, CodeState.PAUSED, "paused")


@permitted(Permission.DISCOUNTS_MANAGE)
def resume(program_id: UUID) -> Response:
    return _moved(program_id, CodeState.ACTIVE, "resumed")


@permitted(Permission.DISCOUNTS_MANAGE)
def put_away(program_id: UUID) -> Response:
    """For good, and for a reason."""
    with looking() as session:
        row = read.read_program(session, program_id)
        counts = read.counts_of(session, program_id)
    home = url_for("console.referral", program_id=program_id)
    change = Change(
        title=f"Put away {row.name}",
        lines=(
            Line("The program", PROGRAMS[row.state].word, PROGRAMS[CodeState.ARCHIVED].word),
            Line("Codes of customers", number(counts["codes"]), "Put away"),
            Line(
                "Rewards that are earned", number(counts["pending"]), "Are given when they are due"
            ),
        ),
        note="It is for good. What friends have reserved can still be paid, and earns its reward.",
        button="Put the program away",
        done=url_for("console.referral", program_id=program_id, done="archived"),
        kind="referral_program",
        act=partial(_archive, program_id),
        is_ending=True,
    )
    here = Place("referrals", ((TITLE, url_for("console.referrals")), (row.name, home)))
    return agree(here, change, {})


def _archive(program_id: UUID, session: Session, reason: str) -> UUID:
    now, actor_id = clock.now(session), principal().actor_id
    state = CodeState.ARCHIVED
    move_program(session, program_id, state, actor_id=actor_id, now=now, reason=reason)
    return program_id


def _moved(program_id: UUID, state: CodeState, done: str) -> Response:
    home, actor_id = url_for("console.referral", program_id=program_id), principal().actor_id

    def moved() -> UUID:
        move_program(session, program_id, state, actor_id=actor_id, now=clock.now(session))
        return program_id

    try:
        with looking() as session:
            key = key_of_form(actor_id)
            once(session, key, moved, status=200, resource_kind="referral_program")
    except RequestInProgress:
        return still_at_work(home)
    except ProgramArchived as refusal:
        return _page(program_id, refusal)
    return go(url_for("console.referral", program_id=program_id, done=done))


def _page(program_id: UUID, refusal: Refusal | None = None) -> Response:
    caller, chosen = principal(), request.args.get("state")
    wanted = RewardState(chosen) if chosen in set(RewardState) else None
    before = id_in(request.args.get("before"))
    with looking() as session:
        row = read.read_program(session, program_id)
        whose = client_places(session, [row.client_id])[row.client_id]
        counts = read.counts_of(session, program_id)
        found = read.list_rewards(session, program_id, wanted, before=before, limit=PAGE_SIZE + 1)
    shown = found[:PAGE_SIZE]
    older = None
    if len(found) > PAGE_SIZE:
        older = url_for(
            "console.referral", program_id=program_id, state=wanted, before=shown[-1].id
        )
    return page(
        "referral.html",
        title=row.name,
        section="referrals",
        crumbs=[(TITLE, url_for("console.referrals")), (row.name, None)],
        status=409 if refusal is not None else 200,
        errors={"title": refusal.detail} if refusal is not None else {},
        program=row,
        owner="" if caller.client_id is not None else whose.name,
        state_words=PROGRAMS[row.state],
        effect=EFFECTS[row.state],
        facts=_facts(row),
        counts=_count_words(counts),
        rewards=[_line(one) for one in shown],
        filters=[(state.value, REWARDS[state].word) for state in RewardState],
        chosen=wanted,
        older=older,
        is_paused=row.state == CodeState.PAUSED,
        is_closed=row.state == CodeState.ARCHIVED,
        may_manage=is_allowed(caller, Permission.DISCOUNTS_MANAGE),
        may_see_purchases=is_allowed(caller, Permission.PURCHASES_READ),
        may_audit=is_allowed(caller, Permission.AUDIT_READ),
        form_name=form_name(),
        done=DONE.get(request.args.get("done", "")),
    )


def _facts(row: Row[Any]) -> list[tuple[str, str]]:
    """What the program says, line by line."""
    uses, most = row.max_uses_per_code, row.max_rewards_per_referrer
    return [
        ("A friend gets", f"{what_it_does(part_from(row.friend))}, on a first purchase"),
        ("The referrer gets", what_it_does(part_from(row.reward))),
        ("A purchase must be kept", plural(row.hold_days, "day")),
        ("A reward is good for", plural(row.reward_valid_days, "day")),
        ("One code is for", "Any number of friends" if uses is None else plural(uses, "friend")),
        ("One referrer gets", "Any number of rewards" if most is None else plural(most, "reward")),
        ("Codes look like", "-".join(filter(None, (row.prefix, "·" * row.random_length)))),
    ]


def _count_words(counts: dict[str, Any]) -> list[tuple[str, str]]:
    given = [money(one["discount_minor"], one["currency"]) for one in counts["discounts"]]
    return [
        ("Codes of customers", number(counts["codes"])),
        ("Purchases of friends", number(counts["purchases"])),
        ("Given to friends", ", ".join(given) or "Nothing yet"),
        *((REWARDS[state].word, number(counts[state])) for state in RewardState),
    ]


def _line(row: Row[Any]) -> RewardLine:
    return RewardLine(
        row.id,
        row.code_id,
        row.code,
        REWARDS[row.state],
        row.created_at,
        row.due_at,
        row.reward_code_id,
        row.reward_code or "",
        is_used=bool(row.is_used),
    )
