"""Distribute coupons of a book to a pool of people: what, check, submit; once, and Back loses nothing."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy import Row

from models import clock
from models.database import scoped_transaction
from models.scope import client
from pipelines.access.permissions import Permission
from pipelines.access.rate_policies import Policy
from pipelines.books.read import BookState, BookView, Wanted, list_books, read_book
from pipelines.distribution.refusals import (
    AtomicTooLarge,
    EmptyPool,
    TooFewForEqual,
    TooManyCoupons,
)
from pipelines.distribution.submit import Submission, submit_distribution
from pipelines.errors import Kind, NotFound, Refusal
from pipelines.jobs.refusals import PreviewStale
from pipelines.jobs.schedule import ScheduleRefused, check_start
from pipelines.queue.keys import RequestInProgress
from pipelines.user_pools.pools import pool as pool_row
from pipelines.user_pools.refusals import PoolArchived
from web.admission import IntakeBusy
from web.backpressure import saturation_now
from web.console.at_work import still_at_work, told_when
from web.console.distribute_form import (
    MODES,
    NO_BOOK,
    REMAINDERS,
    SEED_CHARACTERS_MAX,
    DistributeForm,
    read_distribution,
    typed_distribution,
)
from web.console.distribute_words import book_choice, changed_words, distribution_words
from web.console.form_names import form_name, key_of_form
from web.console.frame import go, page
from web.console.starts import PRIORITIES
from web.console.typed import id_in
from web.console.visit import looking
from web.errors import STATUS
from web.foreseen import foreseen
from web.front import front
from web.guards import permitted, principal
from web.rate_limits import limited

STEPS = ("What", "Check and submit")
BOOKS_MAX = 500
PLAN_HASH_CHARACTERS_MAX = 96
USABLE = (BookState.OPEN, BookState.SCHEDULED)
#: The field that a refusal of the plan is about.
FIELDS: Mapping[type[Refusal], str] = {
    TooFewForEqual: "count",
    TooManyCoupons: "count",
    AtomicTooLarge: "all_or_nothing",
    EmptyPool: "mode",
    PoolArchived: "mode",
    ScheduleRefused: "starts_at",
    NotFound: "book_id",
}


def add_pages(console: Blueprint) -> None:
    path = "/user-pools/<uuid:user_pool_id>/distribute"
    console.add_url_rule(path, "distribute", show, methods=["GET"])
    console.add_url_rule(path, "distribute_now", take, methods=["POST"])


@permitted(Permission.COUPONS_ASSIGN)
def show(user_pool_id: UUID) -> Response:
    """The first step; an address may propose the book."""
    return _what_page(_pool(user_pool_id), typed_distribution(request.args), {})


@permitted(Permission.COUPONS_ASSIGN)
@limited(Policy.SUBMIT)
def take(user_pool_id: UUID) -> Response:
    """Back to the first step, on to the check, or submit what the check has shown."""
    pool, form = _pool(user_pool_id), typed_distribution(request.form)
    asked_to = request.form.get("do")
    if asked_to == "back":
        return _what_page(pool, form, {})
    errors: dict[str, str] = {}
    asked = read_distribution(pool.id, form, errors)
    if asked is None:
        return _what_page(pool, form, errors)
    if asked_to == "submit":
        return _submit(pool, form, asked)
    return _check_page(pool, form, asked)


def _submit(pool: Row[Any], form: DistributeForm, asked: Submission) -> Response:
    house, caller = front().house, principal()
    agreed = replace(
        asked,
        plan_hash=request.form.get("plan_hash", "")[:PLAN_HASH_CHARACTERS_MAX],
        force="force" in request.form,
        saturated=saturation_now(),
    )
    try:
        with scoped_transaction(house.sessions, client(pool.client_id)) as session:
            done = submit_distribution(
                session,
                agreed,
                actor_id=caller.actor_id,
                key=key_of_form(caller.actor_id),
                draw_key=house.draw_key,
                limits=house.limits,
            )
    except RequestInProgress:
        return still_at_work(url_for("console.user_pool", user_pool_id=pool.id))
    except IntakeBusy:
        raise
    except Refusal as refusal:
        if refusal.kind is Kind.FORBIDDEN:
            raise
        return told_when(_check_page(pool, form, asked, refusal), refusal)
    return go(url_for("console.job", job_id=done.resource_id))


def _check_page(
    pool: Row[Any], form: DistributeForm, asked: Submission, refusal: Refusal | None = None
) -> Response:
    """What would happen now; after a refusal also what has changed since it was shown."""
    house, caller = front().house, principal()
    try:
        with scoped_transaction(house.sessions, client(pool.client_id)) as session:
            now = clock.now(session)
            check_start(asked.scheduled_for, now=now, limits=house.limits)
            book = read_book(session, asked.options.book_id, now=now)
            view = foreseen(session, asked, caller.actor_id)
    except Refusal as found:
        return _refused(pool, form, found)
    earlier = refusal.extra.get("job_id") if refusal else None
    is_stale = isinstance(refusal, PreviewStale)
    return _step(
        1,
        "distribute_check.html",
        pool,
        status=STATUS[refusal.kind] if refusal else 200,
        plan=distribution_words(
            view, pool=pool.name, book=book.rules.name, allow_partial=asked.allow_partial
        ),
        hidden=form.hidden(),
        has_seed=asked.options.seed is not None,
        start=form.start,
        form_name=form_name(),
        refusal=refusal,
        changes=changed_words(refusal.extra.get("changes", ())) if refusal and is_stale else [],
        is_stale=is_stale,
        earlier=url_for("console.job", job_id=earlier) if earlier else None,
    )


def _refused(pool: Row[Any], form: DistributeForm, refusal: Refusal) -> Response:
    """What no plan can be made of goes back to the fields."""
    field = FIELDS.get(type(refusal))
    if field is None:
        raise refusal
    words = NO_BOOK if isinstance(refusal, NotFound) else refusal.detail
    status = STATUS[refusal.kind] if refusal.kind is Kind.CONFLICT else 422
    return _what_page(pool, form, {field: words}, status=status)


def _what_page(
    pool: Row[Any], form: DistributeForm, errors: Mapping[str, str], *, status: int = 422
) -> Response:
    return _step(
        0,
        "distribute_what.html",
        pool,
        status=status if errors else 200,
        is_open=pool.archived_at is None,
        books=[(str(book.rules.id), book_choice(book)) for book in _books(pool, form)],
        typed=form.texts,
        ticks=form.ticks,
        modes=MODES,
        remainders=REMAINDERS,
        start=form.start,
        start_hint="",
        priorities=PRIORITIES,
        may_move=True,
        seed_max=SEED_CHARACTERS_MAX,
        errors=errors,
    )


def _books(pool: Row[Any], form: DistributeForm) -> list[BookView]:
    """The client's books that give coupons now; an older one that an address names is among them."""
    named = id_in(form.texts["book_id"])
    with scoped_transaction(front().house.sessions, client(pool.client_id)) as session:
        now = clock.now(session)
        wanted = Wanted(client_id=pool.client_id)
        found = list_books(session, wanted, now=now, before=None, limit=BOOKS_MAX)
        if named is not None and named not in {book.rules.id for book in found}:
            with suppress(NotFound):
                found.append(read_book(session, named, now=now))
    return [book for book in found if book.state in USABLE]


def _pool(user_pool_id: UUID) -> Row[Any]:
    with looking() as session:
        return pool_row(session, user_pool_id)


def _step(
    number: int, template: str, pool: Row[Any], *, status: int = 200, **facts: Any
) -> Response:
    return page(
        template,
        title=f"Distribute to {pool.name} – step {number + 1} of {len(STEPS)}: {STEPS[number]}",
        section="user-pools",
        crumbs=[
            ("Pools of people", url_for("console.user_pools")),
            (pool.name, url_for("console.user_pool", user_pool_id=pool.id)),
            ("Distribute", None),
        ],
        status=status,
        steps=STEPS,
        step=number,
        pool=pool,
        **facts,
    )
