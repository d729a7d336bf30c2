"""Lay a distribution out: its rows, its part of the deck, and which coupon goes to which row."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.locks import Namespace, wait_for_lock
from pipelines.books.deck import free_parts
from pipelines.books.refusals import BookExhausted, RecipientInactive
from pipelines.distribution.plan import OnFailure, Plan
from pipelines.distribution.stage import PIECE
from pipelines.jobs.chunks import defer_settlement
from pipelines.jobs.copying import copy_rows
from pipelines.jobs.layout import close_empty_chunks, lay_chunks, release_first_chunks
from pipelines.limits import Limits

#: Drawn coupons that are read at a time.
STREAMED_ROWS = 5_000
#: Of a row beyond what its member could take when the job was accepted.
TOO_MANY = "The person has, or gets here, as many coupons of the book as one may."

_STAGING = text("""
CREATE TEMP TABLE drawn_rows (position INTEGER, place INTEGER, allowed BOOLEAN) ON COMMIT DROP
""")
_COPY = "COPY drawn_rows (position, place, allowed) FROM STDIN"
_ANALYZE = text("ANALYZE drawn_rows")
# What is beyond what a member can take is refused here already: no coupon is drawn for it.
_ITEMS = text("""
INSERT INTO items (job_id, position, chunk_number, agency_id, client_id, user_id, state, code, detail)
SELECT :job, r.position, (r.position - 1) / :size + 1, :agency, :client, m.user_id,
    CASE WHEN r.allowed THEN 'pending' ELSE 'skipped' END,
    CASE WHEN NOT r.allowed THEN CASE WHEN m.capacity < 0 THEN 'recipient_inactive'
        ELSE 'user_limit_reached' END END,
    CASE WHEN NOT r.allowed THEN CASE WHEN m.capacity < 0 THEN CAST(:inactive AS text)
        ELSE CAST(:too_many AS text) END END
FROM drawn_rows r
JOIN (SELECT u.user_id, u.capacity, d.piece * :piece + u.n - 1 AS place
      FROM draw_members d, unnest(d.user_ids, d.capacities) WITH ORDINALITY
        AS u (user_id, capacity, n)
      WHERE d.job_id = :job) m ON m.place = r.place
ORDER BY r.position
""")
_DROP = text("DROP TABLE drawn_rows")
_TOP = text("""
SELECT max(draw_key) AS upto, count(*) AS found FROM (
    SELECT draw_key FROM coupons
    WHERE book_id = :book AND state = 'unassigned' AND draw_key > :low AND draw_key <= :high
    ORDER BY draw_key LIMIT :count) top
""")
_SET_ASIDE = text("""
UPDATE draws SET after_key = :after, upto_key = :upto, coupons = :coupons WHERE job_id = :job
""")
_PART = text("SELECT book_id, seed, after_key, upto_key FROM draws WHERE job_id = :job")
# Between the two looks nobody takes from this part of the deck. The order is that of `draw.shuffled`:
# docs/draw.md says it in other words.
_SHUFFLED = text("""
SELECT id FROM (
    SELECT c.id FROM unnest(CAST(:lows AS bigint[]), CAST(:highs AS bigint[])) AS part (low, high)
    CROSS JOIN LATERAL (
        SELECT id, draw_key FROM coupons
        WHERE book_id = :book AND state = 'unassigned' AND draw_key > part.low
          AND draw_key <= part.high
        ORDER BY draw_key LIMIT :count) c
    ORDER BY c.draw_key LIMIT :count) top
ORDER BY sha256(convert_to(:seed || ':coupon:', 'UTF8') || uuid_send(id))
""")
_ROWS_OF_CHUNKS = text("""
SELECT chunk_number, array_agg(position ORDER BY position) AS positions
FROM items WHERE job_id = :job AND state = 'pending' GROUP BY chunk_number ORDER BY chunk_number
""")
_KEEP = text("""
INSERT INTO draw_chunks (job_id, chunk_number, agency_id, client_id, positions, coupon_ids)
VALUES (:job, :chunk, :agency, :client, :positions, :coupons)
""")
_PENDING = text("""
SELECT coalesce(sum(pending), 0) FROM chunks WHERE job_id = :job
""")
_TOTAL = text("UPDATE jobs SET total = :total, version = version + 1 WHERE id = :job")


def write_rows(session: Session, job: Row[Any], plan: Plan, limits: Limits) -> None:
    """The chunks and items of the plan; all or nothing is one chunk."""
    is_atomic = plan.options.on_failure is OnFailure.ATOMIC
    size = plan.items if is_atomic else limits.chunk_items_max
    lay_chunks(
        session,
        job.id,
        agency_id=job.agency_id,
        client_id=job.client_id,
        last_position=plan.items,
        limits=replace(limits, chunk_items_max=size),
    )
    session.execute(_STAGING)
    copy_rows(session, _COPY, plan.rows())
    session.execute(_ANALYZE)
    values = {
        "job": job.id,
        "agency": job.agency_id,
        "client": job.client_id,
        "size": size,
        "piece": PIECE,
        "inactive": RecipientInactive.detail,
        "too_many": TOO_MANY,
    }
    session.execute(_ITEMS, values)
    session.execute(_DROP)
    close_empty_chunks(session, job.id)
    session.execute(_TOTAL, {"job": job.id, "total": plan.items})


def set_aside(session: Session, job_id: UUID, book_id: UUID, *, allow_partial: bool) -> int:
    """Take the top of the deck for this job alone, as many coupons as its rows need; how many.

    Whoever takes coupons at this moment is waited for, and waits until the caller's transaction
    ends. Raises `BookExhausted` if there are too few, unless `allow_partial`.
    """
    needed = int(session.execute(_PENDING, {"job": job_id}).scalar_one())
    wait_for_lock(session, Namespace.DECK, str(book_id))
    gaps = free_parts(session, book_id)
    found, upto = 0, gaps[0][0]
    for low, high in gaps:
        values = {"book": book_id, "low": low, "high": high, "count": needed - found}
        top = session.execute(_TOP, values).one()
        if top.found:
            found, upto = found + top.found, top.upto
        if found == needed:
            break
    if found < needed and not allow_partial:
        raise BookExhausted(extra={"available": found, "required": needed})
    values = {"job": job_id, "after": gaps[0][0], "upto": upto, "coupons": found}
    session.execute(_SET_ASIDE, values)
    return found


def draw_coupons(session: Session, job: Row[Any]) -> None:
    """Which coupon each row gets: what was set aside, in the order that the seed gives it."""
    part = session.execute(_PART, {"job": job.id}).one()
    needed = int(session.execute(_PENDING, {"job": job.id}).scalar_one())
    whose = {"job": job.id, "agency": job.agency_id, "client": job.client_id}
    coupons = _shuffled(session, job.id, part, needed)
    for chunk in session.execute(_ROWS_OF_CHUNKS, whose).all():
        drawn = list(islice(coupons, len(chunk.positions)))
        if not drawn:
            return
        values = {
            "chunk": chunk.chunk_number,
            "positions": chunk.positions[: len(drawn)],
            "coupons": drawn,
        }
        session.execute(_KEEP, whose | values)


def _shuffled(session: Session, job_id: UUID, part: Row[Any], needed: int) -> Iterator[UUID]:
    """What was set aside, as a stream; parts of other draws that lie within are left out."""
    within = [
        (max(low, part.after_key), min(high, part.upto_key))
        for low, high in free_parts(session, part.book_id, but=job_id)
    ]
    values = {
        "book": part.book_id,
        "seed": part.seed,
        "count": needed,
        "lows": [low for low, high in within if low < high],
        "highs": [high for low, high in within if low < high],
    }
    streamed = {"yield_per": STREAMED_ROWS}
    yield from session.execute(_SHUFFLED, values, execution_options=streamed).scalars()


def begin(session: Session, job: Row[Any], now: datetime, limits: Limits) -> None:
    """Give the first chunks their tasks, at the job's time; a job with nothing to do ends."""
    if session.execute(_PENDING, {"job": job.id}).scalar_one() == 0:
        defer_settlement(session, job_id=job.id, tenant_id=job.client_id, now=now)
        return
    release_first_chunks(
        session,
        job_id=job.id,
        tenant_id=job.client_id,
        now=now,
        limits=limits,
        run_after=job.scheduled_for,
    )
