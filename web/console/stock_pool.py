"""A pool of cards: its counts, files and forms; and the form that makes one."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy.orm import Session

from models import clock
from models.cards import PoolKind
from models.database import scoped_transaction
from pipelines.access.permissions import Permission, is_allowed
from pipelines.access.rate_policies import Policy
from pipelines.errors import Kind, Refusal
from pipelines.jobs.kinds import OnError
from pipelines.limits import DEFAULTS
from pipelines.pools.accept_import import accept_import
from pipelines.pools.batches import list_batches
from pipelines.pools.change import change_pool
from pipelines.pools.create import NewPool, create_pool
from pipelines.pools.read import PoolView, read_pool
from pipelines.pricing.dear_stock import read_too_dear
from pipelines.queue.keys import RequestInProgress, once
from pipelines.refilling.controls import refill_state
from pipelines.tenants.brands import list_brands
from web.admission import intake_slot
from web.console.amounts import amount_of, whole_of
from web.console.at_work import still_at_work, told_when
from web.console.form_names import form_name, key_of_form
from web.console.formats import decimal_of
from web.console.frame import go, page
from web.console.refill_words import RefillWords, refill_words
from web.console.stock_words import file_words, pool_words
from web.console.typed import typed_fields
from web.console.visit import looking
from web.errors import STATUS
from web.front import front
from web.guards import permitted, principal
from web.rate_limits import limited
from web.tenant_choice import chosen_client

BATCHES_SHOWN = 50
BRANDS_MAX = 500
WATERMARK_MAX = 10_000_000
#: Characters of what an address proposes for a field: an id, the longest of them.
PROPOSED_MAX = 36
KINDS = {PoolKind.CSV: "Imported cards", PoolKind.BUFFER: "Buffer, bought ahead"}


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/inventory/new", "pool_new", ask, methods=["GET"])
    console.add_url_rule("/inventory/new", "pool_new_now", make, methods=["POST"])
    console.add_url_rule("/inventory/pools/<uuid:pool_id>", "pool", show, methods=["GET"])
    console.add_url_rule(
        "/inventory/pools/<uuid:pool_id>/change", "pool_change", change, methods=["POST"]
    )
    console.add_url_rule(
        "/inventory/pools/<uuid:pool_id>/import", "pool_import", take_file, methods=["POST"]
    )


@permitted(Permission.POOLS_READ)
def show(pool_id: UUID) -> Response:
    return pool_page(pool_id)


@permitted(Permission.POOLS_MANAGE)
@limited(Policy.UPLOAD)
def take_file(pool_id: UUID) -> Response:
    """Accept a card file; the page of its batch tells what became of it."""
    house, caller = front().house, principal()
    given = request.files.get("file")
    if given is None or not given.filename:
        return pool_page(pool_id, {"file": "Choose a CSV file that is not empty."})
    try:
        with intake_slot(), scoped_transaction(house.sessions, caller.scope) as session:
            done = accept_import(
                session,
                pool_id,
                given.stream,  # type: ignore[arg-type]
                on_error=OnError.SKIP if "skip" in request.form else OnError.ABORT,
                force="force" in request.form,
                file_name=given.filename[:255],
                actor_id=caller.actor_id,
                key=key_of_form(caller.actor_id),
                keyring=house.settings.keyring,
                limits=house.limits,
            )
    except RequestInProgress:
        return still_at_work(url_for("console.pool", pool_id=pool_id))
    except Refusal as refusal:
        if refusal.kind in {Kind.NOT_FOUND, Kind.FORBIDDEN}:
            raise
        again = pool_page(pool_id, {"file": refusal.detail}, status=STATUS[refusal.kind])
        return told_when(again, refusal)
    return go(url_for("console.card_batch", batch_id=done.job_id))


@permitted(Permission.POOLS_MANAGE)
def change(pool_id: UUID) -> Response:
    """Threshold, cost and whether claims draw on the pool."""
    caller = principal()
    pool = read_pool(front().house.sessions, caller.scope, pool_id)
    errors: dict[str, str] = {}
    changes: dict[str, Any] = {"disabled": "disabled" in request.form}
    changes["low_watermark"] = whole_of("low_watermark", WATERMARK_MAX, errors) or 0
    if caller.sees_costs:
        changes["cost_per_card_minor"] = amount_of(
            "cost", pool.row.currency, errors, may_be_empty=True
        )
    if errors:
        return pool_page(pool_id, errors)
    with looking() as session:

        def changed() -> UUID:
            now = clock.now(session)
            return change_pool(session, pool_id, changes, actor_id=caller.actor_id, now=now)

        key = key_of_form(caller.actor_id)
        once(session, key, changed, status=200, resource_kind="card_pool")
    return go(url_for("console.pool", pool_id=pool_id, done="changed"))


@permitted(Permission.POOLS_MANAGE)
def ask() -> Response:
    """The form; an address may propose what a page has found to be missing."""
    names = ("brand_id", "amount", "kind")
    return _form({name: request.args.get(name, "")[:PROPOSED_MAX] for name in names}, {})


@permitted(Permission.POOLS_MANAGE)
def make() -> Response:
    """Make a pool; the form sent again shows the one it made."""
    caller, errors = principal(), dict[str, str]()
    typed = typed_fields("brand_id", "amount", "kind", "low_watermark", "cost")
    currencies = _brands()
    brand = currencies.get(typed["brand_id"])
    if brand is None:
        errors["brand_id"] = "Choose a brand."
    if typed["kind"] not in set(PoolKind):
        errors["kind"] = "Choose where the cards come from."
    watermark = whole_of("low_watermark", WATERMARK_MAX, errors) or 0
    currency = brand[1] if brand else "USD"
    amount = amount_of("amount", currency, errors, may_be_empty=False)
    cost = amount_of("cost", currency, errors, may_be_empty=True) if caller.sees_costs else None
    if errors or amount is None:
        return _form(typed, errors)
    with looking() as session:
        client_id = _owner(session)
    wanted = NewPool(
        UUID(typed["brand_id"]),
        amount,
        currency,
        PoolKind(typed["kind"]),
        cost,
        watermark,
        client_id,
    )
    try:
        with looking() as session:
            key = key_of_form(caller.actor_id)
            done = once(
                session,
                key,
                lambda: create_pool(session, wanted, actor_id=caller.actor_id),
                status=201,
                resource_kind="card_pool",
            )
    except Refusal as refusal:
        return _form(typed, {"brand_id": refusal.detail})
    return go(url_for("console.pool", pool_id=done.resource_id))


def _owner(session: Session) -> UUID | None:
    """Whose the pool is: the platform's, or the visitor's client; raises `ClientRequired`."""
    caller = principal()
    return None if caller.agency_id is None else chosen_client(session, caller, None)


def pool_page(
    pool_id: UUID, errors: Mapping[str, str] | None = None, *, status: int | None = None
) -> Response:
    sessions, caller = front().house.sessions, principal()
    pool = read_pool(sessions, caller.scope, pool_id)
    dear = read_too_dear(sessions, pool.row) if caller.sees_costs else 0
    words = pool_words(pool, sees_costs=caller.sees_costs, too_dear=dear)
    batches = list_batches(sessions, caller.scope, pool_id, before=None, limit=BATCHES_SHOWN)
    refill = _refill(pool_id)
    return page(
        "pool.html",
        title=words.name,
        section="inventory",
        crumbs=[("Gift-card inventory", url_for("console.inventory")), (words.name, None)],
        status=status or (422 if errors else 200),
        errors=errors or {},
        pool=words,
        batches=[file_words(batch) for batch in batches],
        values=_values(pool),
        sees_costs=caller.sees_costs,
        may_manage=is_allowed(caller, Permission.POOLS_MANAGE),
        form_name=form_name(),
        done=request.args.get("done"),
        refill=refill,
        typed=request.form,
        bytes_max=DEFAULTS.intake_inline_bytes_max,
        rows_max=DEFAULTS.csv_rows_max,
    )


def _refill(pool_id: UUID) -> RefillWords | None:
    """How a buffer is filled ahead, for those who decide about it."""
    if not is_allowed(principal(), Permission.POOLS_REFILL):
        return None
    with looking() as session:
        limits = front().house.limits
        found = refill_state(session, [pool_id], now=clock.now(session), limits=limits)
    return refill_words(found[0]) if found else None


def _values(pool: PoolView) -> dict[str, Any]:
    """What the fields hold: as sent, or as it is."""
    row = pool.row
    cost = row.cost_per_card_minor
    return {
        "low_watermark": request.form.get("low_watermark", row.low_watermark),
        "cost": request.form.get("cost", "" if cost is None else decimal_of(cost, row.currency)),
        "disabled": row.disabled_at is not None,
    }


def _form(typed: Mapping[str, str], errors: Mapping[str, str]) -> Response:
    return page(
        "pool_new.html",
        title="New pool",
        section="inventory",
        crumbs=[("Gift-card inventory", url_for("console.inventory")), ("New pool", None)],
        status=422 if errors else 200,
        typed=typed,
        errors=errors,
        form_name=form_name(),
        brands=[(key, f"{name} ({currency})") for key, (name, currency) in _brands().items()],
        kinds=KINDS,
        sees_costs=principal().sees_costs,
    )


def _brands() -> dict[str, tuple[str, str]]:
    with looking() as session:
        found = list_brands(session, before=None, limit=BRANDS_MAX)
    named = sorted((row.name, str(row.id), row.currency) for row, _routes in found)
    return {key: (name, currency) for name, key, currency in named}
