"""Serve one chunk of a job down the waterfall, in one transaction."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.base import new_id
from models.jobs import ItemState, JobState
from pipelines.jobs.kinds import ChunkInHand
from pipelines.jobs.verdicts import Verdict
from pipelines.jobs.work_chunk import part_of, rest_in_hand
from pipelines.limits import Limits
from pipelines.provisioning.claim import claim_from_pools
from pipelines.provisioning.conditions import Conditions, lock_count
from pipelines.provisioning.effects import (
    CardInHand,
    JobInHand,
    OpenItem,
    end_items,
    job_in_hand,
    open_item,
    provision,
    settle_credit,
)
from pipelines.provisioning.margin import tell_of_margin
from pipelines.provisioning.orders import create_orders
from pipelines.provisioning.repeats import skip_served
from pipelines.provisioning.sources import has_dearer_cards, stocked_sources, ways_by_brand
from pipelines.provisioning.stops import stop_verdict
from pipelines.provisioning.waterfall import (
    POOL_ORDER,
    Route,
    next_route,
    refusal_without_route,
)
from pipelines.queue.work import Postpone
from pipelines.telemetry import get_logger

log = get_logger(__name__)

INTERNAL_ERROR = Verdict(
    ItemState.FAILED, "internal_error", "An internal error; nothing was issued or charged."
)

# Shared, before the count: whoever lifts a limit has the campaign alone, and takes the count then.
_STOPPED = text("""
SELECT l.suspended_at IS NOT NULL AS suspended, c.state = 'closed' AS closed, c.starts_at, c.ends_at,
    c.max_rewards, c.max_rewards_per_recipient, (
    SELECT min(CASE WHEN a.frozen_at IS NOT NULL THEN 'account_frozen'
                    WHEN a.restricted_at IS NOT NULL THEN 'account_restricted' END)
    FROM holds h JOIN accounts a ON a.id = h.account_id WHERE h.job_id = :job) AS payer_stopped
FROM campaigns c JOIN clients l ON l.id = c.client_id WHERE c.id = :campaign
FOR KEY SHARE OF c
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
    items = _pending(session, chunk, job, state)
    stop = _stop_verdict(session, job, state, now, limits)
    if stop is not None:
        served: list[tuple[OpenItem, CardInHand]] = []
        refused, ordered = list(items), 0
        end_items(session, job, items, stop)
    else:
        served, refused, ordered = _serve(session, job, items, now)
    transfer_id = new_id()
    provision(session, job, served, transfer_id=transfer_id, now=now)
    rest_in_hand(session, chunk, now, limits)
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
    job, state = job_in_hand(session, chunk.job_id)
    items = _pending(session, chunk, job, state)
    end_items(session, job, items, INTERNAL_ERROR)
    rest_in_hand(session, chunk, now, limits)
    settle_credit(session, job, served=[], refused=items, transfer_id=new_id(), now=now)


def _pending(session: Session, chunk: ChunkInHand, job: JobInHand, state: str) -> list[OpenItem]:
    """What is to be worked on, locked; what nobody pays for yet waits, unless it is to end."""
    if job.funded_to is not None and state != JobState.CANCELLING:
        chunk = replace(chunk, last=min(chunk.last, job.funded_to))
    return [open_item(row) for row in session.execute(_OPEN_ITEMS, part_of(chunk))]


def _stop_verdict(
    session: Session, job: JobInHand, state: str, now: datetime, limits: Limits
) -> Verdict | None:
    """Why nothing more is begun; who owes begins nothing (EC-077), and ends what is to end.

    While the books are in doubt nothing ends either (EC-074). Where rewards are limited, their count
    is locked from here on. A single request was accepted within the window, and that is enough, but
    not for another try; the card that takes another's place is owed.
    """
    row = session.execute(_STOPPED, {"campaign": job.campaign_id, "job": job.id}).one()
    conditions = Conditions(
        row.starts_at, row.ends_at, row.max_rewards, row.max_rewards_per_recipient
    )
    if conditions.are_counted:
        lock_count(session, job.campaign_id)
    verdict = stop_verdict(JobState(state), is_suspended=row.suspended, is_closed=row.closed)
    is_owed = job.replaces is not None or (job.is_single and job.round == 1)
    outside = None if is_owed else conditions.outside(now)
    if verdict is None and outside is not None:
        verdict = Verdict(ItemState.FAILED, outside.code, outside.detail)
    if row.payer_stopped == "account_frozen" or (row.payer_stopped and verdict is None):
        wait = timedelta(seconds=limits.campaign_paused_look_seconds)
        raise Postpone(now + wait, row.payer_stopped)
    return verdict


def _serve(
    session: Session, job: JobInHand, items: Sequence[OpenItem], now: datetime
) -> tuple[list[tuple[OpenItem, CardInHand]], list[OpenItem], int]:
    """Serve each group of equal cards; returns the served, the refused, and how many ordered.

    An item that only a person can help is neither: its credit stays held.
    """
    repeated, fresh = skip_served(session, job, items)
    groups: dict[tuple[UUID, int, int], list[OpenItem]] = defaultdict(list)
    for item in fresh:
        groups[item.brand_id, item.denomination_minor, item.charge_minor].append(item)
    kinds = sorted({(brand_id, denomination) for brand_id, denomination, _charge in groups})
    stocked = stocked_sources(session, job, kinds, now=now)
    ways = ways_by_brand(session, kinds)
    served: list[tuple[OpenItem, CardInHand]] = []
    ended: dict[Verdict, list[OpenItem]] = defaultdict(list)
    wanted: list[tuple[OpenItem, Route]] = []
    for (brand_id, denomination, charge), group in sorted(groups.items(), key=lambda g: str(g[0])):
        kind, routes = (brand_id, denomination), ways[brand_id].routes
        at_most = ways[brand_id].cost_max(charge)
        pools = [pool for pool in POOL_ORDER if (kind, pool) in stocked]
        claimed = claim_from_pools(session, job, group, pools=pools, cost_max=at_most, now=now)
        served.extend(claimed.pairs)
        route = next_route(routes, denomination, tried=frozenset(), cost_max=at_most)
        if route is not None:
            wanted.extend((item, route) for item in claimed.rest)
        elif claimed.rest:
            why = refusal_without_route(
                routes,
                denomination,
                tried=frozenset(),
                last_code=None,
                has_dearer_cards=bool(pools)
                and has_dearer_cards(session, job, kind, at_most, now=now),
            )
            ended[Verdict(*why)].extend(claimed.rest)
    for verdict, items_ended in ended.items():
        end_items(session, job, items_ended, verdict)
        if not verdict.is_final:
            tell_of_margin(session, job, items_ended, now=now)
    create_orders(session, job, wanted, now=now)
    refused = [item for why, group in ended.items() if why.is_final for item in group]
    return served, repeated + refused, len(wanted)
