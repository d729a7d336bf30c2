"""The duty that keeps buffers filled: it looks each minute and writes orders for what is missing."""

from collections import Counter, defaultdict
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.locks import Namespace, wait_for_lock
from pipelines.alerts.kind import AlertKind
from pipelines.alerts.kinds import (
    REFILL_CAME_DEAR,
    REFILL_CEILING_REACHED,
    REFILL_NO_ROUTE,
)
from pipelines.alerts.raise_alert import raise_alert, settle_alert
from pipelines.limits import Limits
from pipelines.provisioning.orders import create_pool_orders
from pipelines.provisioning.waterfall import Route
from pipelines.queue.work import TaskInHand
from pipelines.refilling.launches import judge_plans
from pipelines.refilling.look import Buffer, Vendor, look
from pipelines.refilling.rules import Purchase, Waits, fills, shared
from pipelines.telemetry import get_logger

log = get_logger(__name__)

_TOLD: dict[Waits, AlertKind] = {
    Waits.CEILING: REFILL_CEILING_REACHED,
    Waits.NO_ROUTE: REFILL_NO_ROUTE,
}
_FILLING = text("UPDATE card_pools SET refill_since = :since WHERE id = :pool")
_OPEN = text("""
SELECT kind, subject_id FROM alerts
WHERE kind = ANY(:kinds) AND state <> 'resolved' AND subject_id = ANY(:pools)
""")


def refill_buffers(session: Session, _task: TaskInHand, now: datetime, *, limits: Limits) -> None:
    """The work of REFILL_BUFFERS: one pass at a time, so that nothing is bought for two passes.

    What is written is committed with this transaction; the calls are the orders' own tasks.
    """
    wait_for_lock(session, Namespace.REFILLING, "pass")
    judge_plans(session, now=now)
    buffers = look(session, now=now, limits=limits)
    wishes = {buffer.row.id: buffer.purchase(now=now, limits=limits) for buffer in buffers}
    ordered = _order(session, buffers, wishes, now)
    for buffer in buffers:
        _note_filling(session, buffer, now)
    _tell(session, buffers, wishes, now)
    if ordered:
        log.info("buffers.refilled", **ordered)


def _order(
    session: Session, buffers: list[Buffer], wishes: dict[UUID, Purchase], now: datetime
) -> Counter[str]:
    """Buffers of one vendor share what is left of its rate in this minute."""
    ordered: Counter[str] = Counter()
    at_vendor: defaultdict[str, list[tuple[Buffer, Route, Vendor]]] = defaultdict(list)
    for buffer in buffers:
        if wishes[buffer.row.id].count and buffer.route and buffer.vendor:
            at_vendor[buffer.route.vendor].append((buffer, buffer.route, buffer.vendor))
    for name, sharing in at_vendor.items():
        vendor = sharing[0][2]
        counts = shared(
            vendor.this_minute - vendor.waiting,
            [wishes[buffer.row.id].count for buffer, _route, _vendor in sharing],
            turn=int(now.timestamp() // 60),
        )
        for (buffer, route, _vendor), count in zip(sharing, counts, strict=True):
            if count:
                cost = buffer.means.cost_minor
                create_pool_orders(
                    session, buffer.pool, route, count, expected_cost_minor=cost, now=now
                )
                ordered[name] += count
    return ordered


def _note_filling(session: Session, buffer: Buffer, now: datetime) -> None:
    is_filling = fills(buffer.level)
    if is_filling != (buffer.row.refill_since is not None):
        values = {"pool": buffer.row.id, "since": now if is_filling else None}
        session.execute(_FILLING, values)


def _tell(
    session: Session, buffers: list[Buffer], bought: dict[UUID, Purchase], now: datetime
) -> None:
    """Alerts about what keeps a buffer from being filled; those whose cause is gone are over."""
    kinds = [*(kind.name for kind in _TOLD.values()), REFILL_CAME_DEAR.name]
    values = {"kinds": kinds, "pools": [buffer.row.id for buffer in buffers]}
    standing = {(row.kind, row.subject_id) for row in session.execute(_OPEN, values)}
    for buffer in buffers:
        pool_id, wish = buffer.row.id, bought[buffer.row.id]
        detail = {
            "missing": wish.missing,
            "spent_minor": buffer.means.spent_minor,
            "currency": buffer.row.currency,
        }
        dear = {"missing": wish.missing, "too_dear": buffer.level.bought_dear}
        seen = [(kind, wish.waits is waits, detail) for waits, kind in _TOLD.items()]
        # Whatever else it waits for, and while another route fills it.
        seen += [(REFILL_CAME_DEAR, buffer.came_dear or buffer.level.bought_dear > 0, dear)]
        for kind, stands, told in seen:
            if stands:
                raise_alert(session, kind, subject_id=pool_id, detail=told, now=now)
            elif (kind.name, pool_id) in standing:
                settle_alert(session, kind, subject_id=pool_id, now=now)
