"""`make bench`: our rate beside the bare limit's, measured in the same run, as ratios.

python -m tests.bench [--items N] [--rounds N] [--largest N] [--only PART]
"""

import argparse
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import psycopg
from rich.console import Console
from rich.table import Table

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.queue.kinds import Queue
from pipelines.queue.pausing import pause_queue, resume_queue
from tests.bench import code_lines, engine_lines, limits
from tests.bench.checkout_lines import checkout_lines
from tests.bench.coupon_lines import coupon_lines
from tests.bench.distribution_lines import distribution_lines, growth_lines
from tests.bench.guard_lines import guard_lines
from tests.bench.http_lines import CLIENTS, Fronts, fronts
from tests.bench.line import Line
from tests.bench.pool_lines import pool_lines
from tests.bench.source_lines import source_lines
from tests.chaos.exact import import_file
from tests.chaos.stand import Stand, grounds, stand
from tests.driving import cards_csv, recipients_csv, rows, submit
from tests.seeding import ACTOR, Seeded, seed

#: The parts of the work engine's lines, each of which may be measured alone.
PARTS = (
    "basics",
    "guards",
    "sources",
    "pools",
    "codes",
    "distribution",
    "books",
    "coupons",
    "checkout",
)
ENGINE = ("start", "beside", "growth", "processes")


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--items", type=int, default=20_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--largest", type=int, default=1_000_000)
    arguments.add_argument("--only", choices=(*PARTS, "engine", *ENGINE))
    chosen = arguments.parse_args()
    lines: list[Line] = []
    with grounds() as base, stand(base, time_scale=1.0) as ground:
        seeded = seed(ground.house, credit_minor=10**13)
        ground.start("relay", "bulk", "interactive")
        import_file(ground, seeded.csv_pool, cards_csv(100))  # the processes are up and warm
        with (
            psycopg.connect(limits.superuser(ground), autocommit=True) as connection,
            fronts(ground, seeded, connection) as served,
        ):
            if chosen.only in {None, "basics"}:
                lines.append(_import_line(ground, seeded, connection, chosen.items, chosen.rounds))
                lines.extend(_job_lines(ground, seeded, connection, chosen.items, chosen.rounds))
                import_file(ground, seeded.csv_pool, cards_csv(4_000))
                lines.extend(_http_lines(ground, served))
                lines.append(_memory_line(ground))
            if chosen.only in {None, "guards"}:
                lines.extend(guard_lines(ground, seeded, connection))
            if chosen.only in {None, "sources"}:
                lines.extend(source_lines(ground, seeded, chosen.items))
            if chosen.only in {None, "pools"}:
                people = min(100_000, chosen.largest)
                lines.extend(pool_lines(ground, seeded, connection, people))
            coupons = (ground, seeded, connection, min(100_000, chosen.items), chosen.largest)
            if chosen.only in {None, "distribution"}:
                lines.extend(distribution_lines(*coupons))
            if chosen.only in {None, "coupons"}:
                lines.extend(coupon_lines(ground, seeded, served, min(100_000, chosen.largest)))
            if chosen.only in {None, "checkout"}:
                lines.extend(checkout_lines(ground, seeded, served))
            if chosen.only == "books":
                lines.extend(growth_lines(*coupons))
            if chosen.only in {None, "codes"}:
                codes = min(code_lines.CODES_MAX, chosen.largest)
                lines.extend(
                    code_lines.code_lines(ground, seeded, connection, codes, chosen.rounds)
                )
            for part in ENGINE:
                if chosen.only in {None, "engine", part}:
                    lines.extend(_engine_lines(part, ground, seeded, served, chosen.largest))
    _print(lines, chosen.items, chosen.rounds)
    return 0


def _engine_lines(
    part: str, ground: Stand, seeded: Seeded, served: Fronts, largest: int
) -> list[Line]:
    bulk = min(100_000, largest)
    match part:
        case "start":
            return engine_lines.start_lines(ground, seeded, bulk)
        case "beside":
            return engine_lines.beside_lines(ground, seeded, served.wait, 2 * bulk)
        case "growth":
            sizes = [size for size in engine_lines.GROWTH if size <= largest]
            return engine_lines.growth_lines(ground, seeded, served.port, served.key, sizes)
        case _:
            return engine_lines.process_lines(ground, seeded, bulk // 2)


def _import_line(
    ground: Stand, seeded: Seeded, connection: psycopg.Connection, items: int, rounds: int
) -> Line:
    ours, bare, copy_alone = [], [], []
    for _ in range(rounds):
        started = time.monotonic()
        import_file(ground, seeded.csv_pool, cards_csv(items))
        ours.append(items / (time.monotonic() - started))
        whole, copied = limits.copy_sealed_cards(
            connection, seeded, cards_csv(items), ground.house.settings.keyring
        )
        bare.append(items / whole)
        copy_alone.append(items / copied)
    alone = statistics.median(ours) / statistics.median(copy_alone)
    return Line(
        "import cards (accept, judge, seal, duplicates, insert)",
        statistics.median(ours),
        statistics.median(bare),
        f"limit: seal + COPY; {alone:.2f} of bare COPY of sealed rows",
    )


def _job_lines(
    ground: Stand, seeded: Seeded, connection: psycopg.Connection, items: int, rounds: int
) -> list[Line]:
    accepted, whole, bare_accept, bare_whole = [], [], [], []
    for number in range(rounds):
        content = recipients_csv(items, number * items)
        started = time.monotonic()
        job_id = submit(ground.house, seeded, content)
        accepted.append(time.monotonic() - started)
        ground.until_ended(job_id)
        whole.append(time.monotonic() - started)
        stored, provided = _bare_job(connection, seeded, items, content)
        bare_accept.append(stored)
        bare_whole.append(stored + provided)
    return [
        Line(
            f"accept a CSV of {items:,} (202 in hand, durable)",
            items / statistics.median(accepted),
            items / statistics.median(bare_accept),
            "limit: parse + COPY + INSERT ... SELECT, unchecked",
        ),
        Line(
            f"provision {items:,} from a pool (CSV bytes to last item)",
            items / statistics.median(whole),
            items / statistics.median(bare_whole),
            "limit: the same effects, one bare statement",
        ),
    ]


def _bare_job(
    connection: psycopg.Connection, seeded: Seeded, items: int, content: bytes
) -> tuple[float, float]:
    started = time.monotonic()
    job_id: UUID = limits.parse_and_store(connection, seeded, content)
    stored = time.monotonic() - started
    return stored, limits.provide_at_once(connection, seeded, job_id, items)


def _http_lines(ground: Stand, served: Fronts) -> list[Line]:
    with stopped(ground, Queue.INTERACTIVE):
        ours = served.accept()
    bare, waited = served.bare(), served.wait()
    return [
        Line(
            f"accept one card over HTTP, {CLIENTS} clients (202)",
            ours.rate,
            bare.rate,
            f"p50 {ours.p50:.1f} ms, p99 {ours.p99:.1f} ms alone; bare route p50 {bare.p50:.1f} ms",
        ),
        Line(
            "one card, Prefer: wait, one client (calls per second)",
            1000 / waited.p50,
            1000 / bare.p50,
            f"p50 {waited.p50:.1f} ms, p99 {waited.p99:.1f} ms to the outcome",
        ),
    ]


@contextmanager
def stopped(ground: Stand, queue: Queue) -> Iterator[None]:
    """The queue paused as an operator would; afterwards what waited is done."""
    with scoped_transaction(ground.house.sessions, SYSTEM) as session:
        pause_queue(session, queue.value, reason="bench", actor_id=ACTOR, now=clock.now(session))
    yield
    with scoped_transaction(ground.house.sessions, SYSTEM) as session:
        resume_queue(session, queue.value, actor_id=ACTOR, now=clock.now(session))
    ground.until(lambda: not rows(ground.house, "SELECT 1 FROM tasks WHERE kind = 'run_single'"))


def _memory_line(ground: Stand) -> Line:
    status = Path(f"/proc/{ground.running['bulk'].pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    peak, now = (int(fields[name].split()[0]) / 1024 for name in ("VmHWM", "VmRSS"))
    return Line("bulk worker memory, MiB (now beside its peak)", now, peak, "flat in job size")


def _print(lines: list[Line], items: int, rounds: int) -> None:
    table = Table(title=f"bench: {items:,} items, median of {rounds} rounds")
    for column in ("work", "ours", "limit", "ratio", "note"):
        table.add_column(column, justify="left" if column in {"work", "note"} else "right")
    for line in lines:
        table.add_row(line.work, _shown(line.ours), _shown(line.limit), line.ratio, line.note)
    Console(width=140).print(table)


def _shown(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


if __name__ == "__main__":
    sys.exit(main())
