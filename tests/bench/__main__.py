"""`make bench`: our rate beside the bare limit's, measured in the same run, as ratios.

python -m tests.bench [--items N] [--rounds N]
"""

import argparse
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import psycopg
from rich.console import Console
from rich.table import Table

from tests.bench import http_lines, limits
from tests.bench.http_lines import Timings
from tests.chaos.scenarios import import_file
from tests.chaos.stand import Stand, stand
from tests.driving import cards_csv, recipients_csv, submit
from tests.seeding import Seeded, seed


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the benchmark page: rates per second, and ours divided by the limit's."""

    work: str
    ours: float
    limit: float
    note: str

    @property
    def ratio(self) -> float:
        return self.ours / self.limit


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--items", type=int, default=20_000)
    arguments.add_argument("--rounds", type=int, default=3)
    chosen = arguments.parse_args()
    lines: list[Line] = []
    with stand(time_scale=1.0) as ground:
        seeded = seed(ground.house, credit_minor=10**12)
        ground.start("relay", "bulk", "interactive")
        import_file(ground, seeded.csv_pool, cards_csv(100))  # the processes are up and warm
        with psycopg.connect(_superuser(ground), autocommit=True) as connection:
            lines.append(_import_line(ground, seeded, connection, chosen.items, chosen.rounds))
            lines.extend(_job_lines(ground, seeded, connection, chosen.items, chosen.rounds))
            import_file(ground, seeded.csv_pool, cards_csv(2_000))
            lines.extend(_http_lines(http_lines.measure(ground, seeded, connection)))
        lines.append(_memory_line(ground))
    _print(lines, chosen.items, chosen.rounds)
    return 0


def _superuser(ground: Stand) -> str:
    """The bare limits run as the superuser: no policies, no rights to check."""
    return ground.servers.admin_url.rpartition("/")[0] + "/largesse"


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


def _http_lines(timings: dict[str, Timings]) -> list[Line]:
    ours, bare, waited = timings["accept"], timings["bare"], timings["wait"]
    return [
        Line(
            f"accept one card over HTTP, {http_lines.CLIENTS} clients (202)",
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
        table.add_row(
            line.work, f"{line.ours:,.0f}", f"{line.limit:,.0f}", f"{line.ratio:.2f}", line.note
        )
    Console(width=140).print(table)


if __name__ == "__main__":
    sys.exit(main())
