"""Cards by source, holds on one hot account, and how true the time is that a preview tells."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import psycopg

from models.base import new_id
from models.database import scoped_transaction
from models.scope import client
from pipelines.credit.hold import payer_of, place_hold
from pipelines.providers.ports import OrderRequest, Succeeded
from tests.bench.engine_lines import stock
from tests.bench.limits import superuser
from tests.bench.line import Line
from tests.chaos.exact import import_file
from tests.chaos.stand import Stand
from tests.driving import cards_csv, recipients_csv, rows, submit
from tests.intake import preview_file
from tests.seeding import Seeded

ORDERS = 2_000
HOLDS = 2_000
#: As many as the `vendors` process has threads.
CALLERS = 24
HOLDERS = 8
#: Calls per minute, and the orders whose end is foretold at that rate.
FORETOLD = ((60, 60), (600, 300))
_RATE = """
UPDATE vendor_accounts SET rate_per_minute = :rate, burst = :burst, micro_tokens = :tokens,
    filled_at = now() RETURNING 1
"""
_BARE_HOLD = """
WITH aside AS (
    UPDATE accounts SET held = held + 1 WHERE id = %(account)s AND balance - held >= 1 RETURNING *)
INSERT INTO holds (id, agency_id, client_id, account_id, job_id, round, currency, amount)
SELECT gen_random_uuid(), agency_id, client_id, id, gen_random_uuid(), 1, currency, 1 FROM aside
"""


def source_lines(ground: Stand, seeded: Seeded, items: int) -> list[Line]:
    """Cards per second from each source, then what holds and foretold times are like."""
    ground.start("vendors")
    lines = [_pool_line(ground, seeded, items), _buffer_line(ground, seeded, items)]
    lines.append(_vendor_line(ground, seeded))
    lines.append(_hold_line(ground, seeded))
    lines.extend(_foretold_line(ground, seeded, rate, orders) for rate, orders in FORETOLD)
    rows(ground.house, _RATE, rate=60_000, burst=1_000, tokens=10**9)
    return lines


def _pool_line(ground: Stand, seeded: Seeded, items: int) -> Line:
    stock(ground, seeded, items)
    return Line(
        f"csv pool: cards per second, job of {items:,}", _pace(ground, seeded, items), None, ""
    )


def _buffer_line(ground: Stand, seeded: Seeded, items: int) -> Line:
    import_file(ground, seeded.buffer_pool, cards_csv(items))
    return Line(
        f"buffer: cards per second, job of {items:,}", _pace(ground, seeded, items), None, ""
    )


def _vendor_line(ground: Stand, seeded: Seeded) -> Line:
    bare = _bare_orders(ground)
    return Line(
        f"vendor: cards per second, job of {ORDERS:,}",
        _pace(ground, seeded, ORDERS),
        bare,
        f"limit: the adapter alone, {CALLERS} threads",
    )


def _pace(ground: Stand, seeded: Seeded, items: int) -> float:
    started = time.monotonic()
    job_id = submit(ground.house, seeded, recipients_csv(items), allow_repeat=True)
    job = ground.until_ended(job_id)
    assert job["counts"]["succeeded"] == items, job["counts"]
    return items / (time.monotonic() - started)


def _bare_orders(ground: Stand) -> float:
    """Orders per second of the adapter, with nothing written down."""
    provider = ground.sandbox.provider()

    def buy(_number: int) -> None:
        request = OrderRequest(new_id().hex, "120", 2500, "USD")
        assert isinstance(provider.place_order(request), Succeeded)

    return _per_second(buy, ORDERS, CALLERS)


def _hold_line(ground: Stand, seeded: Seeded) -> Line:
    house = ground.house

    def hold(_number: int) -> None:
        with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
            payer = payer_of(session, seeded.campaign_id, "USD")
            place_hold(session, payer, job_id=new_id(), round_number=1, amount=1)

    ours = _per_second(hold, HOLDS, HOLDERS)
    return Line(
        f"holds per second on one account, {HOLDERS} threads",
        ours,
        _bare_holds(ground, seeded.client_account),
        "limit: the same two writes in one bare statement",
    )


def _bare_holds(ground: Stand, account_id: UUID) -> float:
    kept = threading.local()

    def hold(_number: int) -> None:
        if not hasattr(kept, "connection"):
            kept.connection = psycopg.connect(superuser(ground), autocommit=True)
        kept.connection.execute(_BARE_HOLD, {"account": account_id})

    return _per_second(hold, HOLDS, HOLDERS)


def _per_second(act: Callable[[int], None], times: int, threads: int) -> float:
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(act, range(threads)))  # connected and warm
        started = time.monotonic()
        list(pool.map(act, range(times)))
        return times / (time.monotonic() - started)


def _foretold_line(ground: Stand, seeded: Seeded, rate: int, orders: int) -> Line:
    content = recipients_csv(orders)
    rows(ground.house, _RATE, rate=rate, burst=1, tokens=0)
    foretold = preview_file(ground.house, seeded, content, allow_repeat=True)["eta_seconds"]
    started = time.monotonic()
    job_id = submit(ground.house, seeded, content, allow_repeat=True)
    ground.until_ended(job_id)
    return Line(
        f"{orders} orders at {rate / 60:g}/s: real seconds beside foretold ones",
        time.monotonic() - started,
        foretold,
        "aim: 0.95 to 1.05",
    )
