"""Read a vendor's catalogue page by page, one call at a time, and keep what it sells."""

import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models import clock
from models.base import new_id
from models.database import Sessions, transaction
from pipelines.limits import Limits
from pipelines.pricing.judge_routes import judge_routes
from pipelines.providers.guard import PROVIDER_AUTH, Purpose
from pipelines.providers.ports import (
    QUESTION_THROTTLED,
    CataloguePage,
    Product,
    Provider,
)
from pipelines.providers.turn import Turn
from pipelines.queue.defer import defer
from pipelines.queue.kinds import SYNC_CATALOGUE
from pipelines.queue.settling import lease_seconds, settle_by, settle_in_hand
from pipelines.queue.work import TaskInHand, finish, postpone
from pipelines.telemetry import get_logger
from pipelines.vendors.begin import begin_question
from pipelines.vendors.heard import heard

log = get_logger(__name__)

_ACCOUNTS = text("""
SELECT id, vendor FROM vendor_accounts WHERE vendor = ANY(:vendors) AND disabled_at IS NULL
""")
# What it cost before stands beside what it costs now; a product that is back is listed again.
_KEEP = text("""
INSERT INTO vendor_products AS old (id, vendor, product, name, currency, countries, least_minor,
    most_minor, fixed_minor, cost_bp, cost_flat_minor, cost_currency, seen_at)
SELECT p.row_id, :vendor, p.id, p.name, p.currency, p.countries, p.least_minor, p.most_minor,
    p.fixed_minor, p.cost_bp, p.cost_flat_minor, p.cost_currency, :now
FROM jsonb_to_recordset(CAST(:products AS jsonb)) AS p (row_id uuid, id text, name text,
    currency text, countries text[], least_minor bigint, most_minor bigint, fixed_minor bigint[],
    cost_bp integer, cost_flat_minor bigint, cost_currency text)
ORDER BY p.id
ON CONFLICT (vendor, product) DO UPDATE SET name = excluded.name, currency = excluded.currency,
    countries = excluded.countries, least_minor = excluded.least_minor,
    most_minor = excluded.most_minor, fixed_minor = excluded.fixed_minor,
    cost_bp = excluded.cost_bp, cost_flat_minor = excluded.cost_flat_minor,
    cost_currency = excluded.cost_currency, seen_at = excluded.seen_at, vanished_at = NULL,
    was_cost_bp = CASE WHEN (old.cost_bp, old.cost_flat_minor, old.cost_currency)
        IS DISTINCT FROM (excluded.cost_bp, excluded.cost_flat_minor, excluded.cost_currency)
        THEN old.cost_bp ELSE old.was_cost_bp END,
    was_cost_flat_minor = CASE WHEN (old.cost_bp, old.cost_flat_minor, old.cost_currency)
        IS DISTINCT FROM (excluded.cost_bp, excluded.cost_flat_minor, excluded.cost_currency)
        THEN old.cost_flat_minor ELSE old.was_cost_flat_minor END,
    cost_changed_at = CASE WHEN (old.cost_bp, old.cost_flat_minor, old.cost_currency)
        IS DISTINCT FROM (excluded.cost_bp, excluded.cost_flat_minor, excluded.cost_currency)
        THEN excluded.seen_at ELSE old.cost_changed_at END
""")
# Where a reading stands is kept with the account: a task carries ids and numbers alone.
_BEGIN = text("""
UPDATE vendor_accounts SET catalogue_begun_at = coalesce(catalogue_begun_at, :now)
WHERE id = :account RETURNING id, vendor, catalogue_page, catalogue_begun_at
""")
_TURN = text("UPDATE vendor_accounts SET catalogue_page = :page WHERE id = :account")
_STOP = text("""
UPDATE vendor_accounts SET catalogue_page = NULL, catalogue_begun_at = NULL WHERE id = :account
""")
_READ = text("""
UPDATE vendor_accounts SET catalogue_read_at = :now, catalogue_page = NULL,
    catalogue_begun_at = NULL WHERE id = :account
""")
_VANISH = text("""
UPDATE vendor_products SET vanished_at = :now
WHERE vendor = :vendor AND seen_at < :begun AND vanished_at IS NULL
""")


def sync_catalogues(
    session: Session, _task: TaskInHand, now: datetime, *, vendors: Collection[str]
) -> None:
    """The work of SYNC_CATALOGUES: every account in use is read; one being read goes on."""
    for account in session.execute(_ACCOUNTS, {"vendors": sorted(vendors)}).all():
        read_later(session, account.id, account.vendor, now=now)


def read_later(session: Session, account_id: UUID, vendor: str, *, now: datetime) -> None:
    """Have the account's catalogue read: on from where a reading stands, else from its beginning."""
    key = str(account_id)
    defer(session, SYNC_CATALOGUE, args={"account_id": key}, now=now, lane=vendor, dedupe_key=key)


def sync_catalogue(
    sessions: Sessions,
    task: TaskInHand,
    *,
    providers: Mapping[str, Provider],
    limits: Limits,
    draw: Callable[[], float],
) -> None:
    """The work of SYNC_CATALOGUE: one page, one call; the next page is the next task.

    A vendor that does not answer is read again with the next run: what is not listed counts as
    gone only when a whole catalogue has been read.
    """
    begun, turn = time.monotonic(), Turn()
    with transaction(sessions) as session:
        seconds = lease_seconds(SYNC_CATALOGUE, limits)
        account = _begin(session, task, providers, seconds=seconds, turn=turn)
    if account is None:
        return
    turn.wait()
    answer = providers[account.vendor].catalogue(account.catalogue_page)

    def write(session: Session) -> None:
        now = clock.now(session)
        if isinstance(answer, CataloguePage):
            finish(session, task)
            _keep(session, account.vendor, answer.products, now)
            _go_on(session, account, answer.next_page, now)
        elif answer.reason == QUESTION_THROTTLED:
            postpone(session, task, until=now, reason="vendor_throttled")
        else:
            _stop(session, task, account.id)
        heard(session, account.vendor, answer, call=task.id, now=now, purpose=Purpose.CHECK)

    until = settle_by(begun, SYNC_CATALOGUE, limits)
    settle_in_hand(sessions, task, write, until=until, draw=draw)
    read = len(answer.products) if isinstance(answer, CataloguePage) else answer.reason
    log.info("catalogue.read", vendor=account.vendor, products=read)


def _begin(
    session: Session,
    task: TaskInHand,
    providers: Mapping[str, Provider],
    *,
    seconds: float,
    turn: Turn,
) -> Row[Any] | None:
    """The account if its vendor may be asked now; one that is down is read with the next run."""

    def ended(account: Row[Any]) -> None:
        session.execute(_STOP, {"account": account.id})

    account = begin_question(
        session,
        task,
        providers,
        seconds=seconds,
        turn=turn,
        ends_for={"vendor_down", PROVIDER_AUTH},
        ended=ended,
    )
    if account is None:
        return None
    values = {"account": account.id, "now": clock.now(session)}
    return session.execute(_BEGIN, values).one()


def _stop(session: Session, task: TaskInHand, account_id: UUID) -> None:
    """The next run reads from the beginning."""
    finish(session, task)
    session.execute(_STOP, {"account": account_id})


def _keep(session: Session, vendor: str, products: Sequence[Product], now: datetime) -> None:
    """One statement for a page; a product that stands twice on it counts once."""
    distinct = {product.id: product for product in products}
    if distinct:
        listed = [asdict(one) | {"row_id": str(new_id())} for one in distinct.values()]
        values = {"vendor": vendor, "now": now, "products": json.dumps(listed)}
        session.execute(_KEEP, values)


def _go_on(session: Session, account: Row[Any], page: str | None, now: datetime) -> None:
    """The next page, or what has vanished and what that means for routes."""
    if page is not None:
        session.execute(_TURN, {"account": account.id, "page": page})
        read_later(session, account.id, account.vendor, now=now)
        return
    begun = account.catalogue_begun_at
    session.execute(_VANISH, {"vendor": account.vendor, "begun": begun, "now": now})
    session.execute(_READ, {"account": account.id, "now": now})
    judge_routes(session, now=now)
