"""Allocate credit to an account, and take it back: say how much, see what it does, then do it.

One verb with the API (`move_or_ask`); nothing moves before the second page is sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy import Row

from models import clock
from models.base import new_id
from pipelines.access.permissions import Permission
from pipelines.access.proofs import StepUpRequired
from pipelines.approvals.approvals import ApprovalKind
from pipelines.approvals.foresee import Foreseen, foresee_movement
from pipelines.approvals.movements import ALLOCATION, RECALL, move_or_ask
from pipelines.credit import read
from pipelines.credit.refusals import AccountFrozen, AccountRestricted, InsufficientCredit
from pipelines.errors import NotFound, Refusal
from pipelines.jobs.cells import FORBIDDEN_CONTROLS
from pipelines.queue.keys import Done, RequestInProgress, once_made
from web.console.amounts import amount_of, typed_amount
from web.console.at_work import still_at_work
from web.console.form_names import key_of_form
from web.console.formats import money
from web.console.frame import go, page
from web.console.visit import looking
from web.errors import STATUS
from web.front import front
from web.guards import permitted, principal

#: As the API takes it.
NOTE_CHARACTERS_MAX = 500
ASKED = 202


@dataclass(frozen=True, slots=True)
class Direction:
    """Down or back up, between an account and the one right above it."""

    endpoint: str
    kind: ApprovalKind
    title: str
    verb: str
    help: str


DOWN = Direction(
    "console.credit_allocate",
    ALLOCATION,
    "Allocate to {child}",
    "Allocate",
    "Credit moves from {parent} to {child} at once, and can be taken back while it is unused.",
)
UP = Direction(
    "console.credit_recall",
    RECALL,
    "Take back from {child}",
    "Take back",
    "Unused credit moves from {child} to {parent} at once. What jobs hold stays where it is.",
)


@dataclass(frozen=True, slots=True)
class Pair:
    """An account with the one above it."""

    parent: Row[Any]
    child: Row[Any]

    @property
    def names(self) -> dict[str, str]:
        return {"parent": self.parent.name, "child": self.child.name}

    def source(self, direction: Direction) -> Row[Any]:
        return self.child if direction is UP else self.parent


def add_pages(console: Blueprint) -> None:
    down, up = "/credit/<uuid:account_id>/allocate", "/credit/<uuid:account_id>/recall"
    console.add_url_rule(down, "credit_allocate", ask_down, methods=["GET"])
    console.add_url_rule(down, "credit_allocate_now", take_down, methods=["POST"])
    console.add_url_rule(up, "credit_recall", ask_up, methods=["GET"])
    console.add_url_rule(up, "credit_recall_now", take_up, methods=["POST"])


@permitted(Permission.CREDIT_MOVE)
def ask_down(account_id: UUID) -> Response:
    return _asked(DOWN, account_id)


@permitted(Permission.CREDIT_MOVE)
def take_down(account_id: UUID) -> Response:
    """Show what an allocation would do, or make it when that was agreed to."""
    return _taken(DOWN, account_id)


@permitted(Permission.CREDIT_MOVE)
def ask_up(account_id: UUID) -> Response:
    return _asked(UP, account_id)


@permitted(Permission.CREDIT_MOVE)
def take_up(account_id: UUID) -> Response:
    """Show what a recall would do, or make it when that was agreed to."""
    return _taken(UP, account_id)


def _asked(direction: Direction, account_id: UUID) -> Response:
    """The empty form; `amount` in the address is where a proof of oneself leads back to."""
    return _form(direction, _pair(account_id), {"amount": request.args.get("amount", "")[:40]}, {})


def _taken(direction: Direction, account_id: UUID) -> Response:
    pair = _pair(account_id)
    typed = {"amount": typed_amount("amount"), "notes": request.form.get("notes", "").strip()}
    errors: dict[str, str] = {}
    amount = amount_of("amount", pair.child.currency, errors, may_be_empty=False)
    if wrong := _wrong_note(typed["notes"]):
        errors["notes"] = wrong
    if errors or amount is None:
        return _form(direction, pair, typed, errors)
    try:
        if "agreed" in request.form:
            return _moved(direction, pair, amount, typed["notes"])
        return _shown(direction, pair, amount, typed)
    except StepUpRequired:
        back = url_for(direction.endpoint, account_id=account_id, amount=typed["amount"])
        return go(url_for("console.step_up", next=back))
    except RequestInProgress:
        return still_at_work(url_for("console.credit_account", account_id=account_id))
    except (InsufficientCredit, AccountFrozen, AccountRestricted) as refusal:
        wrong = _refused(refusal, pair.source(direction), direction)
        return _form(direction, pair, typed, {"amount": wrong}, status=STATUS[refusal.kind])


def _shown(direction: Direction, pair: Pair, amount: int, typed: Mapping[str, str]) -> Response:
    """Both accounts before and after; its form has a new name, so that it is sent once."""
    with looking() as session:
        foreseen = foresee_movement(
            session,
            direction.kind,
            principal(),
            parent_id=pair.parent.id,
            child_id=pair.child.id,
            amount=amount,
            limits=front().house.limits,
        )
    return _page(
        "credit_move_check.html",
        direction,
        pair,
        typed=typed,
        foreseen=foreseen,
        amount=money(amount, pair.child.currency),
        short=money(foreseen.short, pair.child.currency) if foreseen.short else None,
        button=_button(direction, foreseen, money(amount, pair.child.currency)),
        form_name=new_id().hex,
    )


def _moved(direction: Direction, pair: Pair, amount: int, notes: str) -> Response:
    """Move it, or let it wait for a second person; the form sent again shows what it did."""
    caller = principal()
    key = key_of_form(caller.actor_id)
    with looking() as session:
        make = partial(
            move_or_ask,
            session,
            direction.kind,
            caller,
            parent_id=pair.parent.id,
            child_id=pair.child.id,
            amount=amount,
            notes=notes,
            key=key.key,
            limits=front().house.limits,
            now=clock.now(session),
        )
        done: Done = once_made(session, key, make)
    if done.status == ASKED:
        return go(url_for("console.approvals", done="asked"))
    home = url_for("console.credit_account", account_id=pair.child.id, moved=done.resource_id)
    return go(home)


def _form(
    direction: Direction,
    pair: Pair,
    typed: Mapping[str, str],
    errors: Mapping[str, str],
    *,
    status: int | None = None,
) -> Response:
    source = pair.source(direction)
    return _page(
        "credit_move.html",
        direction,
        pair,
        status=status or (422 if errors else 200),
        typed=typed,
        errors=errors,
        source=source,
        available=_available(source),
        notes_max=NOTE_CHARACTERS_MAX,
    )


def _page(
    template: str, direction: Direction, pair: Pair, *, status: int = 200, **facts: Any
) -> Response:
    home = url_for("console.credit_account", account_id=pair.child.id)
    title = direction.title.format(**pair.names)
    return page(
        template,
        title=title,
        section="credit",
        crumbs=[("Credit", url_for("console.credit")), (pair.child.name, home), (title, None)],
        status=status,
        home=home,
        currency=pair.child.currency,
        help=direction.help.format(**pair.names),
        **facts,
    )


def _pair(account_id: UUID) -> Pair:
    """The account and the one above it; `NotFound` where either is out of the visitor's sight."""
    with looking() as session:
        child = read.account(session, account_id)
        if child.parent_id is None:
            raise NotFound
        return Pair(read.account(session, child.parent_id), child)


def _wrong_note(text: str) -> str | None:
    if len(text) > NOTE_CHARACTERS_MAX:
        return f"Use at most {NOTE_CHARACTERS_MAX} characters."
    if FORBIDDEN_CONTROLS.search(text) or "\n" in text or "\r" in text:
        return "Use one line of text without control characters."
    return None


def _refused(refusal: Refusal, source: Row[Any], direction: Direction) -> str:
    if not isinstance(refusal, InsufficientCredit):
        return refusal.detail
    short = int(refusal.extra["required_minor"]) - int(refusal.extra["available_minor"])
    have, missing = _available(source), money(short, source.currency)
    held = f" and {money(source.held, source.currency)} held by jobs" if source.held else ""
    if int(refusal.extra["available_minor"]) > 0:
        way = f"{direction.verb} {have} at most."
    else:
        way = "There is nothing to take back now." if direction is UP else "Give it credit first."
    return f"{source.name} has {have} available{held}: {missing} too little. {way}"


def _available(account: Row[Any]) -> str:
    if account.unlimited:
        return "unlimited credit"
    return money(max(0, account.balance - account.held), account.currency)


def _button(direction: Direction, foreseen: Foreseen, amount: str) -> str:
    if foreseen.needs_second_person:
        return f"Ask to {direction.verb.lower()} {amount}"
    return f"{direction.verb} {amount}"
