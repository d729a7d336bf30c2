"""One coupon assigned or redeemed over HTTP, to its outcome: alone, then beside a distribution."""

import json
import time
from collections.abc import Callable, Sequence
from uuid import UUID

from models import clock
from models.books import CouponMove
from models.database import scoped_transaction
from models.scope import SYSTEM, client
from pipelines.access.api_keys import NewKey, draw_key, make_key
from pipelines.access.permissions import KeyScope
from pipelines.books.history import Moved, Step, move_coupons
from tests.bench.http_lines import CALLS, Call, Fronts, Timings, timed
from tests.bench.line import Line
from tests.booking import make_book
from tests.chaos.stand import Stand
from tests.couponing import put_codes
from tests.distributing import distribute, make_pool, options, stocked_book
from tests.driving import rows
from tests.seeding import ACTOR, Seeded


def coupon_lines(ground: Stand, seeded: Seeded, served: Fronts, bulk_items: int) -> list[Line]:
    """Limits: the bare route's one INSERT for what is alone, and alone for what is beside."""
    key = _key(ground, seeded)
    bare = served.bare()
    pool, people = make_pool(ground.house, seeded, bulk_items)
    book = stocked_book(ground.house, seeded, 4 * CALLS, max_assignments_per_user=10 * CALLS)
    codes = iter(_held(ground, seeded, people[0], 4 * CALLS))
    alone = _both(served, key, book, people[0], codes.__next__)
    large = stocked_book(ground.house, seeded, bulk_items)
    job_id = distribute(ground.house, seeded, options(pool, large, bulk_items))
    ground.until_done(job_id, 1)
    beside = _both(served, key, book, people[0], codes.__next__)
    still = rows(ground.house, "SELECT 1 FROM jobs WHERE id = :j AND finished_at IS NULL", j=job_id)
    ground.until_ended(job_id, seconds=600)
    end = "" if still else "; the distribution ended first"
    lines = []
    for verb, mine, busy in zip(("assign", "redeem"), alone, beside, strict=True):
        note = f"p50 {mine.p50:.1f} ms, p99 {mine.p99:.1f} ms alone; bare INSERT route p50 {bare.p50:.1f} ms"
        lines.append(
            Line(
                f"{verb} one coupon, Prefer: wait, one client (calls per second)",
                1000 / mine.p50,
                1000 / bare.p50,
                note,
            )
        )
        note = f"p50 {busy.p50:.1f} ms beside, {mine.p50:.1f} ms alone{end}"
        work = f"{verb} one coupon, Prefer: wait, beside {bulk_items:,}: p99 ms"
        lines.append(Line(work, busy.p99, mine.p99, note))
    return lines


def _both(
    served: Fronts, key: str, book: UUID, person: UUID, next_code: Callable[[], str]
) -> tuple[Timings, Timings]:
    body = json.dumps({"book_id": str(book), "user_id": str(person)})
    assign = timed(lambda _n: _call(served, key, "/coupons/assign", body), rate=False)
    redeem = timed(
        lambda _n: _call(served, key, f"/coupons/redeem/{next_code()}", "{}"), rate=False
    )
    return assign, redeem


def _call(served: Fronts, key: str, path: str, body: str) -> Call:
    headers = {
        "Authorization": f"Bearer {key}",
        "Idempotency-Key": f"coupon-{time.perf_counter_ns()}",
        "Prefer": "wait=10",
    }
    return served.port, f"/api/v1{path}", body, headers, 200


def _held(ground: Stand, seeded: Seeded, person: UUID, count: int) -> Sequence[str]:
    """Codes of coupons that the person holds."""
    house = ground.house
    book = make_book(house, seeded, max_redemptions_per_user=10 * count)
    codes = put_codes(house, seeded, book, count)
    found = rows(house, "SELECT id, version FROM coupons WHERE book_id = :book", book=book)
    steps = [Step(row.id, row.version, person) for row in found]
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        moved = Moved(CouponMove.ASSIGNED, clock.now(session), ACTOR)
        move_coupons(session, book, steps, moved)
    return codes


def _key(ground: Stand, seeded: Seeded) -> str:
    drawn = draw_key(is_live=False)
    with scoped_transaction(ground.house.sessions, SYSTEM) as session:
        wanted = NewKey("bench", seeded.client_id, (KeyScope.COUPONS, KeyScope.JOBS_READ))
        make_key(session, drawn, wanted, actor_id=ACTOR, now=clock.now(session))
    return drawn.text
