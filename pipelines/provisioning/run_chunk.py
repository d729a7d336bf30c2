"""Serve one chunk of a job down the waterfall, in one transaction."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.base import new_id
from models.jobs import ItemState, JobState
from pipelines.jobs.chunks import rest_chunk
from pipelines.jobs.kinds import ChunkInHand
from pipelines.jobs.work_chunk import part_of
from pipelines.limits import Limits
from pipelines.provisioning.claim import claim_from_pools
from pipelines.provisioning.effects import (
    CardInHand,
    JobInHand,
    OpenItem,
    Verdict,
    end_items,
    job_in_hand,
    open_item,
    provision,
    settle_credit,
)
from pipelines.provisioning.orders import create_orders
from pipelines.provisioning.repeats import skip_served
from pipelines.provisioning.sources import routes_by_brand, stocked_sources
from pipelines.provisioning.stops import stop_verdict
from pipelines.provisioning.waterfall import (
    POOL_ORDER,
    Route,
    next_route,
    refusal_without_route,
)
from pipelines.telemetry import get_logger

log = get_logger(__name__)

INTERNAL_ERROR = Verdict(
    ItemState.FAILED, "internal_error", "An internal error; nothing was issued or charged."
)

_STOPPED = text("""
SELECT l.suspended_at IS NOT NULL AS suspended, c.state = 'closed' AS closed
FROM campaigns c JOIN clients l ON l.id = c.client_id WHERE c.id = :campaign
""")
_OPEN_ITEMS = text("""
SELECT position, brand_id, denomination_minor, charge_minor, person_key, round FROM items
WHERE job_id = :job AND chunk_number = :chunk AND state = 'pending'
  AND position BETWEEN :first AND :last
ORDER BY position FOR NO KEY UPDATE
""")


def run_chunk(session: Session, chunk: ChunkInHand, now: datetime, limits: Limits) -> None:
    """An item ends with a card from a pool, with an order written for a vendor, or with a refusal.

    The kind's part of RUN_CHUNK and RUN_SINGLE: the chunk is locked, the job is not paused.
    """
    job, state = job_in_hand(session, chunk.job_id)
    items = _pending(session, chunk)
    stop = _stop_verdict(session, job, state)
    if stop is not None:
        served: list[tuple[OpenItem, CardInHand]] = []
        refused, ordered = list(items), 0
        end_items(session, job, items, stop)
    else:
        served, refused, ordered = _serve(session, job, items, now)
    transfer_id = new_id()
    provision(session, job, served, transfer_id=transfer_id)
    _rest(session, chunk, now, limits)
    settle_credit(
        session,
        job,
        served=[item for item, _card in served],
        refused=refused,
        transfer_id=transfer_id,
        now=now,
    )
    log.info(
        "chunk.passed",
        job_id=str(chunk.job_id),
        chunk=chunk.number,
        served=len(served),
        refused=len(refused),
        ordered=ordered,
    )


def give_up(session: Session, chunk: ChunkInHand, now: datetime, limits: Limits) -> None:
    """The item that cannot be worked on ends `failed internal_error`, uncharged (EC-121)."""
    job, _state = job_in_hand(session, chunk.job_id)
    items = _pending(session, chunk)
    end_items(session, job, items, INTERNAL_ERROR)
    _rest(session, chunk, now, limits)
    settle_credit(session, job, served=[], refused=items, transfer_id=new_id(), now=now)


def _pending(session: Session, chunk: ChunkInHand) -> list[OpenItem]:
    return [open_item(row) for row in session.execute(_OPEN_ITEMS, part_of(chunk))]


def _rest(session: Session, chunk: ChunkInHand, now: datetime, limits: Limits) -> None:
    rest_chunk(
        session,
        job_id=chunk.job_id,
        number=chunk.number,
        tenant_id=chunk.tenant_id,
        now=now,
        open_orders_max=limits.open_orders_per_job_max,
        is_whole_job=chunk.is_whole_job,
    )


def _stop_verdict(session: Session, job: JobInHand, state: str) -> Verdict | None:
    row = session.execute(_STOPPED, {"campaign": job.campaign_id}).one()
    return stop_verdict(JobState(state), is_suspended=row.suspended, is_closed=row.closed)


def _serve(
    session: Session, job: JobInHand, items: Sequence[OpenItem], now: datetime
) -> tuple[list[tuple[OpenItem, CardInHand]], list[OpenItem], int]:
    """Serve each group of equal cards; returns the served, the refused, and how many ordered."""
    repeated, fresh = skip_served(session, job, items)
    groups: dict[tuple[UUID, int], list[OpenItem]] = defaultdict(list)
    for item in fresh:
        groups[item.brand_id, item.denomination_minor].append(item)
    stocked = stocked_sources(session, job, list(groups), now=now)
    routes = routes_by_brand(session, list(groups))
    served: list[tuple[OpenItem, CardInHand]] = []
    refused: dict[Verdict, list[OpenItem]] = defaultdict(list)
    wanted: list[tuple[OpenItem, Route]] = []
    for (brand_id, denomination), group in sorted(groups.items(), key=lambda g: str(g[0])):
        pools = [kind for kind in POOL_ORDER if ((brand_id, denomination), kind) in stocked]
        claimed = claim_from_pools(session, job, group, pools=pools, now=now)
        served.extend(claimed.pairs)
        route = next_route(routes[brand_id], denomination, tried=frozenset())
        if route is None:
            why = refusal_without_route(routes[brand_id], denomination, last_code=None)
            refused[Verdict(ItemState.FAILED, *why)].extend(claimed.rest)
        else:
            wanted.extend((item, route) for item in claimed.rest)
    for verdict, items_refused in refused.items():
        end_items(session, job, items_refused, verdict)
    create_orders(session, job, wanted, now=now)
    unserved = repeated + [item for group in refused.values() for item in group]
    return served, unserved, len(wanted)
