"""Distributions beside the bare chunk technique, and what one more coupon costs in larger books."""

import threading
import time
from uuid import UUID, uuid4

import psycopg

from tests.bench import limits
from tests.bench.line import Line
from tests.chaos.stand import Stand
from tests.distributing import distribute, make_pool, options, stocked_book
from tests.seeding import Seeded

CHUNK = 500
#: Books of so many coupons, for the same distribution.
BOOKS = (10_000, 100_000, 1_000_000, 5_000_000)
_BARE_TABLES = """
DROP TABLE IF EXISTS bare_coupons, bare_items, bare_log;
CREATE TABLE bare_coupons (id bigint PRIMARY KEY, book integer NOT NULL, code text NOT NULL,
    draw_key bigint NOT NULL, state text NOT NULL DEFAULT 'unassigned', user_id uuid,
    item bigint);
CREATE TABLE bare_items (position bigint PRIMARY KEY, user_id uuid NOT NULL,
    state text NOT NULL DEFAULT 'pending', coupon bigint);
CREATE TABLE bare_log (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, coupon bigint,
    user_id uuid, at timestamptz NOT NULL DEFAULT now());
INSERT INTO bare_coupons (id, book, code, draw_key)
  SELECT n, 1, 'CODE-' || md5(n::text), (random() * 9e18)::bigint FROM generate_series(1, {book}) n;
CREATE INDEX bare_deck ON bare_coupons (book, draw_key) WHERE state = 'unassigned';
INSERT INTO bare_items (position, user_id)
  SELECT n, gen_random_uuid() FROM generate_series(1, {items}) n;
ANALYZE bare_coupons; ANALYZE bare_items;
"""
#: What looking for coupons by their state, holder and item costs whoever assigns them.
_BARE_INDEXES = """
CREATE INDEX bare_state ON bare_coupons (book, state, id) WHERE state <> 'unassigned';
CREATE INDEX bare_holder ON bare_coupons (user_id, id) WHERE user_id IS NOT NULL;
CREATE UNIQUE INDEX bare_item ON bare_coupons (item) WHERE item IS NOT NULL;
"""
_AT_ONCE = """
WITH taken AS (SELECT id, row_number() OVER () AS n FROM (
    SELECT id FROM bare_coupons WHERE book = 1 AND state = 'unassigned'
    ORDER BY draw_key LIMIT {items} FOR UPDATE SKIP LOCKED) t)
UPDATE bare_coupons c SET state = 'assigned', user_id = i.user_id, item = i.position
FROM taken t JOIN bare_items i ON i.position = t.n WHERE c.id = t.id
"""
_CHUNK = """
WITH wanted AS (
    SELECT position, user_id, position - %(first)s + 1 AS n FROM bare_items
    WHERE position BETWEEN %(first)s AND %(last)s AND state = 'pending' FOR UPDATE
), taken AS (
    SELECT id, row_number() OVER () AS n FROM (
        SELECT id FROM bare_coupons WHERE book = 1 AND state = 'unassigned'
        ORDER BY draw_key LIMIT %(size)s FOR UPDATE SKIP LOCKED) t
), given AS (
    UPDATE bare_coupons c SET state = 'assigned', user_id = w.user_id, item = w.position
    FROM taken t JOIN wanted w ON w.n = t.n WHERE c.id = t.id
    RETURNING c.id, c.user_id, c.item
), done AS (
    UPDATE bare_items i SET state = 'succeeded', coupon = g.id FROM given g WHERE i.position = g.item
)
INSERT INTO bare_log (coupon, user_id) SELECT id, user_id FROM given
"""


def distribution_lines(
    ground: Stand, seeded: Seeded, connection: psycopg.Connection, items: int, largest: int
) -> list[Line]:
    """A whole distribution from a large book beside bare chunks and one bare statement."""
    pool, _people = make_pool(ground.house, seeded, items)
    lines = []
    for name, limited in (("", {}), (", 5 each at most", {"max_assignments_per_user": 5})):
        book = stocked_book(ground.house, seeded, largest, **limited)
        _settled(connection)
        ours = items / _distribute(ground, seeded, pool, book, items)
        _prepare_bare(connection, largest, items)
        chunks = items / _bare_chunks(ground, items, connections=2)
        _prepare_bare(connection, largest, items)
        whole = items / _bare_statement(connection, items)
        _prepare_bare(connection, largest, items, _BARE_INDEXES)
        indexed = items / _bare_chunks(ground, items, connections=2)
        note = f"limit: bare chunks, 2 connections; one bare statement {whole:,.0f}/s"
        work = f"distribute {items:,} from a book of {largest:,}{name}"
        lines.append(Line(work, ours, chunks, note))
        lines.append(Line(work, ours, indexed, "the same with the indexes that ours needs"))
    return lines


def growth_lines(
    ground: Stand, seeded: Seeded, connection: psycopg.Connection, items: int, largest: int
) -> list[Line]:
    """The same distribution from larger and larger books: the ratio is to the smallest."""
    pool, _people = make_pool(ground.house, seeded, items)
    lines: list[Line] = []
    for size in (size for size in BOOKS if items <= size <= largest):
        book = stocked_book(ground.house, seeded, size)
        _settled(connection)
        rate = items / _distribute(ground, seeded, pool, book, items)
        first = lines[0].ours if lines else rate
        lines.append(
            Line(
                f"distribute {items:,} from a book of {size:,}", rate, first, "beside the smallest"
            )
        )
    return lines


def _distribute(ground: Stand, seeded: Seeded, pool: UUID, book: UUID, items: int) -> float:
    began = time.monotonic()
    job_id = distribute(ground.house, seeded, options(pool, book, items))
    accepted = time.monotonic()
    job = ground.until_ended(job_id)
    assert job["counts"]["succeeded"] == items, job["counts"]
    print(f"accepted after {accepted - began:.2f} s", flush=True)
    return time.monotonic() - began


def _settled(connection: psycopg.Connection) -> None:
    """As a database is that has been up for a while."""
    connection.execute("VACUUM (ANALYZE) coupons")
    connection.execute("CHECKPOINT")


def _prepare_bare(connection: psycopg.Connection, book: int, items: int, indexes: str = "") -> None:
    connection.execute((_BARE_TABLES.format(book=book, items=items) + indexes).encode())
    connection.execute("CHECKPOINT")


def _bare_statement(connection: psycopg.Connection, items: int) -> float:
    began = time.monotonic()
    done = connection.execute(_AT_ONCE.format(items=items).encode())
    assert done.rowcount == items, uuid4()
    return time.monotonic() - began


def _bare_chunks(ground: Stand, items: int, *, connections: int) -> float:
    began = time.monotonic()
    firsts = iter(range(1, items + 1, CHUNK))
    lock = threading.Lock()

    def work() -> None:
        with psycopg.connect(limits.superuser(ground), autocommit=True) as own:
            while True:
                with lock:
                    first = next(firsts, None)
                if first is None:
                    return
                last = min(first + CHUNK - 1, items)
                own.execute(_CHUNK.encode(), {"first": first, "last": last, "size": CHUNK})

    threads = [threading.Thread(target=work) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - began
