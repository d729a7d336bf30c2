"""A coupon of a book: whose it is, what was done to it, and every action or why it cannot be."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy import Row
from sqlalchemy.orm import Session

from models import clock
from pipelines.access.permissions import Permission, is_allowed
from pipelines.access.users import UserNotFound
from pipelines.assignment.accept import AssignmentRequest
from pipelines.books.coupon_view import CouponView, coupon_view, events_of
from pipelines.books.look_up import CouponInHand, coupon_by_id
from pipelines.books.read import read_book
from pipelines.errors import Kind, Refusal
from pipelines.queue.keys import RequestInProgress
from pipelines.redemption.accept import Acting
from pipelines.redemption.withdraw import release_coupon, void_coupon
from pipelines.user_pools.find_person import people_named
from web.audit_seen import look_up_names
from web.console import coupon_acts
from web.console.at_work import still_at_work, told_when
from web.console.book_coupons import UNKNOWN_HOLDER, holder_words
from web.console.book_words import limit_lines
from web.console.books import place
from web.console.coupon_assign import person_of
from web.console.coupon_words import (
    COUPON_STATES,
    HistoryLine,
    Toast,
    history_lines,
    lock_words,
    refused,
    use_words,
    why_not,
)
from web.console.form_names import form_name
from web.console.frame import go, page
from web.console.reasons import NO_REASON, typed_reason
from web.console.typed import typed_fields
from web.console.visit import looking
from web.errors import STATUS
from web.front import front
from web.guards import permitted, principal

EVENTS_SHOWN = 200
NOT_ALLOWED = "Only campaign managers and administrators do this."


@dataclass(frozen=True, slots=True)
class Action:
    """Something that is done to a coupon; `why_not` says why it cannot be."""

    name: str
    label: str
    effect: str
    needs: Permission
    #: The field that it asks for.
    asks: str = ""
    is_ending: bool = False
    why_not: str | None = None


ACTIONS = (
    Action(
        "assign",
        "Assign",
        "Gives it to the person with this e-mail address.",
        Permission.COUPONS_ASSIGN,
        "email",
    ),
    Action("lock", "Lock", "Sets it aside for its holder.", Permission.COUPONS_REDEEM),
    Action("unlock", "Unlock", "Takes the lock off.", Permission.COUPONS_REDEEM),
    Action("redeem", "Redeem", "Uses it up for its holder; final.", Permission.COUPONS_REDEEM),
    Action(
        "release",
        "Release",
        "Takes it back from its holder into the book.",
        Permission.COUPONS_ASSIGN,
        "reason",
    ),
    Action(
        "void",
        "Void",
        "Makes it worthless for good.",
        Permission.BOOKS_MANAGE,
        "reason",
        is_ending=True,
    ),
)


def add_pages(console: Blueprint) -> None:
    path = "/books/<uuid:book_id>/coupons/<uuid:coupon_id>"
    console.add_url_rule(path, "coupon", show, methods=["GET"])
    for name, view in (
        ("assign", assign),
        ("lock", lock),
        ("unlock", unlock),
        ("redeem", redeem),
        ("release", release),
        ("void", void),
    ):
        console.add_url_rule(f"{path}/{name}", f"coupon_{name}", view, methods=["POST"])


@permitted(Permission.BOOKS_READ)
def show(book_id: UUID, coupon_id: UUID) -> Response:
    return _page(book_id, coupon_id, coupon_acts.told())


@permitted(Permission.COUPONS_REDEEM)
def lock(book_id: UUID, coupon_id: UUID) -> Response:
    """Set it aside for its holder."""
    return _done(book_id, coupon_id, partial(coupon_acts.lock, acting=_acting()), "locked")


@permitted(Permission.COUPONS_REDEEM)
def unlock(book_id: UUID, coupon_id: UUID) -> Response:
    """Take its lock off."""
    return _done(book_id, coupon_id, partial(coupon_acts.unlock, acting=_acting()), "unlocked")


@permitted(Permission.COUPONS_REDEEM)
def redeem(book_id: UUID, coupon_id: UUID) -> Response:
    """Redeem it for its holder, and tell what came of it."""
    return _done(book_id, coupon_id, partial(coupon_acts.redeem, acting=_acting()))


@permitted(Permission.COUPONS_ASSIGN)
def release(book_id: UUID, coupon_id: UUID) -> Response:
    """Take it back from its holder, for a reason."""
    return _withdrawn(book_id, coupon_id, release_coupon, "released")


@permitted(Permission.BOOKS_MANAGE)
def void(book_id: UUID, coupon_id: UUID) -> Response:
    """Make it worthless, for a reason."""
    return _withdrawn(book_id, coupon_id, void_coupon, "voided")


@permitted(Permission.COUPONS_ASSIGN)
def assign(book_id: UUID, coupon_id: UUID) -> Response:
    """Give it to the person who has an address."""

    def give(coupon: CouponInHand) -> UUID:
        user_id = person_of(typed_fields("email")["email"])
        asked = AssignmentRequest(coupon.client_id, user_id, book_id, coupon_id=coupon_id)
        return coupon_acts.assign(asked)

    return _done(book_id, coupon_id, give)


def _withdrawn(book_id: UUID, coupon_id: UUID, verb: Callable[..., object], done: str) -> Response:
    reason = typed_reason()
    if not reason:
        return _page(book_id, coupon_id, Toast(NO_REASON), status=422)
    act = partial(coupon_acts.withdraw, verb=verb, reason=reason)
    return _done(book_id, coupon_id, act, done)


def _done(
    book_id: UUID,
    coupon_id: UUID,
    act: Callable[[CouponInHand], UUID | None],
    done: str | None = None,
) -> Response:
    """Do it and go to the coupon's page, or show there why it was refused.

    `act` returns the job that it waited for, if there is one.
    """
    with looking() as session:
        coupon = coupon_by_id(session, book_id, coupon_id)
    try:
        job_id = act(coupon)
    except RequestInProgress:
        return still_at_work(url_for("console.coupon", book_id=book_id, coupon_id=coupon_id))
    except Refusal as refusal:
        if refusal.kind is Kind.FORBIDDEN:
            raise
        # An address that nobody has is a field to be corrected, and no page that is not there.
        status = 422 if isinstance(refusal, UserNotFound) else STATUS[refusal.kind]
        return told_when(_page(book_id, coupon_id, refused(refusal), status=status), refusal)
    return go(
        url_for("console.coupon", book_id=book_id, coupon_id=coupon_id, done=done, job=job_id)
    )


def _page(book_id: UUID, coupon_id: UUID, toast: Toast | None, *, status: int = 200) -> Response:
    with looking() as session:
        now = clock.now(session)
        book = read_book(session, book_id, now=now)
        view = coupon_view(session, coupon_by_id(session, book_id, coupon_id), now=now)
        events = events_of(session, coupon_id, after=0, limit=EVENTS_SHOWN)
        holders = _people(session, view, events)
    return page(
        "coupon.html",
        title=f"Coupon {view.code}",
        section="books",
        crumbs=place(
            book,
            ("Codes", url_for("console.book_coupons", book_id=book_id)),
            (view.code, None),
        ),
        status=status,
        toast=toast,
        job_href=coupon_acts.job_address(toast),
        coupon=view.row,
        code=view.code,
        is_sealed=view.row.code is None,
        state_words=COUPON_STATES[view.state],
        holder=holders[view.row.user_id],
        lock=lock_words(view),
        uses=use_words(view),
        limits=limit_lines(book.rules),
        history=_history(events, holders),
        actions=_actions(view),
        typed=request.form,
        form_name=form_name(),
    )


def _people(session: Session, view: CouponView, rows: Sequence[Row[Any]]) -> dict[UUID, str]:
    """Who holds it and who held it, by address."""
    ids = {row.user_id for row in rows} | {view.row.user_id}
    known = people_named(session, view.row.client_id, ids - {None})
    return {one: holder_words(known, one) for one in ids}


def _history(rows: Sequence[Row[Any]], holders: Mapping[UUID, str]) -> list[HistoryLine]:
    """What was done to it; outside of any transaction, for names are looked up in their own."""
    actors = look_up_names(front().house.sessions, principal(), (row.actor_id for row in rows))
    return history_lines(rows, holders=holders, actors=actors, nobody=UNKNOWN_HOLDER)


def _actions(view: CouponView) -> list[Action]:
    """All of them; what the visitor may not do, and what its state refuses, says why."""
    caller, refusals = principal(), view.moves()
    return [
        Action(
            one.name,
            one.label,
            one.effect,
            one.needs,
            one.asks,
            one.is_ending,
            why_not(refusals[one.name]) if is_allowed(caller, one.needs) else NOT_ALLOWED,
        )
        for one in ACTIONS
    ]


def _acting() -> Acting:
    """Who manages coupons acts on whosever they are."""
    return Acting(principal().actor_id, None)
