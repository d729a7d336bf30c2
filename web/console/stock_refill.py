"""The forms of a buffer's page that have it filled ahead: how far, how dearly, now, and for a launch."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy.orm import Session

from models import clock
from models.database import scoped_transaction
from pipelines.access.permissions import Permission
from pipelines.access.rate_policies import Policy
from pipelines.errors import Kind, Refusal
from pipelines.jobs.schedule import ScheduleRefused
from pipelines.pools.read import read_pool
from pipelines.queue.keys import once
from pipelines.refilling.controls import (
    CeilingMissing,
    NewPlan,
    change_refill,
    plan_refill,
    refill_now,
    withdraw_plan,
)
from web.console.amounts import amount_of, whole_of
from web.console.form_names import key_of_form
from web.console.frame import go
from web.console.starts import StartForm, time_of
from web.console.stock_pool import pool_page
from web.errors import STATUS
from web.front import front
from web.guards import permitted, principal
from web.rate_limits import limited

CARDS_MAX = 1_000_000
#: Where a refused member of the body stands in the form.
FIELDS: Mapping[str | None, str] = {"/ceiling_minor": "ceiling"}
#: What the console says of a refusal that the API explains by its own members.
NO_CEILING = (
    "Say first, under “Spend at most each day (UTC)”, what may be spent on this pool in a day."
)
NO_TIME = "Give the time by which the cards must be there, in UTC."


def add_pages(console: Blueprint) -> None:
    home = "/inventory/pools/<uuid:pool_id>"
    console.add_url_rule(f"{home}/refill", "pool_refill", change, methods=["POST"])
    console.add_url_rule(f"{home}/refill-now", "pool_refill_now", ask, methods=["POST"])
    console.add_url_rule(f"{home}/plans", "pool_plan", plan, methods=["POST"])
    console.add_url_rule(
        f"{home}/plans/<uuid:plan_id>/withdraw", "pool_plan_withdraw", withdraw, methods=["POST"]
    )


@permitted(Permission.POOLS_REFILL)
def change(pool_id: UUID) -> Response:
    """Target, ceiling per day, and whether anything is bought at all."""
    errors: dict[str, str] = {}
    pool = read_pool(front().house.sessions, principal().scope, pool_id)
    target = whole_of("target", CARDS_MAX, errors, may_be_empty=True)
    ceiling = amount_of("ceiling", pool.row.currency, errors, may_be_empty=True)
    if errors:
        return pool_page(pool_id, errors)
    changes: dict[str, Any] = {
        "target": target or None,
        "ceiling_minor": ceiling,
        "paused": "paused" in request.form,
    }
    return _done(pool_id, "target", partial(change_refill, pool_id=pool_id, changes=changes))


@permitted(Permission.POOLS_REFILL)
@limited(Policy.SUBMIT)
def ask(pool_id: UUID) -> Response:
    """Fill it up to its target now, whatever its threshold."""
    return _done(pool_id, "target", partial(refill_now, pool_id=pool_id))


@permitted(Permission.POOLS_REFILL)
@limited(Policy.SUBMIT)
def plan(pool_id: UUID) -> Response:
    """So many cards by a time."""
    errors: dict[str, str] = {}
    needed = whole_of("needed", CARDS_MAX, errors, may_be_empty=False)
    try:
        by = time_of(StartForm(request.form.get("by", "").strip()[:25]))
    except ScheduleRefused as refusal:
        by, errors["by"] = None, refusal.detail
    if by is None:
        errors.setdefault("by", NO_TIME)
    if errors or needed is None or by is None:
        return pool_page(pool_id, errors)
    return _done(pool_id, "by", partial(plan_refill, pool_id=pool_id, plan=NewPlan(needed, by)))


@permitted(Permission.POOLS_REFILL)
def withdraw(pool_id: UUID, plan_id: UUID) -> Response:
    """Nothing more for this launch."""
    return _done(pool_id, "by", partial(withdraw_plan, pool_id=pool_id, plan_id=plan_id))


def _done(pool_id: UUID, field: str, make: Callable[..., UUID]) -> Response:
    """Do it once for each form; what is refused is said at the field."""
    caller = principal()

    def made(session: Session) -> UUID:
        return make(session, actor_id=caller.actor_id, now=clock.now(session))

    try:
        with scoped_transaction(front().house.sessions, caller.scope) as session:
            key = key_of_form(caller.actor_id)
            once(session, key, partial(made, session), status=200, resource_kind="card_pool")
    except CeilingMissing as refusal:
        return pool_page(pool_id, {"ceiling": NO_CEILING}, status=STATUS[refusal.kind])
    except Refusal as refusal:
        if refusal.kind is Kind.NOT_FOUND:
            raise
        wrong = {FIELDS.get(error.pointer, field): error.detail for error in refusal.errors}
        return pool_page(pool_id, wrong or {field: refusal.detail}, status=STATUS[refusal.kind])
    return go(url_for("console.pool", pool_id=pool_id, done="refill"))
