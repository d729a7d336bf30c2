"""The work engine: how soon work starts, how it grows with processes and with the job's size."""

import json
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from uuid import UUID

import requests

from models.database import scoped_transaction
from models.scope import client
from pipelines.provisioning.recipients import DeliveryMethod
from pipelines.provisioning.single import SingleRequest, submit_single
from pipelines.queue.broker import make_broker
from pipelines.queue.kinds import RUN_SINGLE
from pipelines.queue.ring import Doorbell
from tests.bench.http_lines import CALLS, Timings
from tests.bench.line import Line
from tests.chaos.exact import import_file
from tests.chaos.stand import Stand
from tests.driving import cards_csv, recipients_csv, rows, submit
from tests.seeding import ACTOR, Seeded

STARTS = 200
GROWTH = (10_000, 100_000, 1_000_000)
PROCESSES = (1, 2, 4)
MEBIBYTE = 1024 * 1024


def stock(ground: Stand, seeded: Seeded, cards: int) -> None:
    """Cards in files of at most half a million."""
    while cards > 0:
        part = min(cards, 500_000)
        import_file(ground, seeded.csv_pool, cards_csv(part))
        cards -= part


def start_lines(ground: Stand, seeded: Seeded, bulk_items: int) -> list[Line]:
    """From the doorbell of a single request to the start of its work: idle, then beside bulk."""
    stock(ground, seeded, 2 * STARTS + bulk_items)
    idle = _start_latencies(ground, seeded)
    job_id = submit(ground.house, seeded, recipients_csv(bulk_items), allow_repeat=True)
    ground.until_done(job_id, 1)
    beside = _start_latencies(ground, seeded)
    ground.until_ended(job_id)
    return [
        Line(
            f"{name}: enqueue to start, p50 in ms", _p(taken, 50), None, f"p99 {_p(taken, 99):.1f}"
        )
        for name, taken in (("idle", idle), (f"beside a job of {bulk_items:,}", beside))
    ]


def _start_latencies(ground: Stand, seeded: Seeded) -> list[float]:
    """Milliseconds; the database's clock is this machine's."""
    house = ground.house
    broker = make_broker(house.settings.queue_url)
    rung: dict[UUID, float] = {}
    for number in range(STARTS):
        asked = SingleRequest(
            seeded.campaign_id,
            seeded.brand_id,
            2500,
            DeliveryMethod.NONE,
            {"reference": f"start{number}"},
        )
        with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
            done = submit_single(
                session,
                asked,
                actor_id=ACTOR,
                key=None,
                keyring=house.settings.keyring,
                person_secret=house.person_secret,
                limits=house.limits,
            )
        assert done.task_id is not None
        rung[done.job_id] = time.time()
        broker.ring([Doorbell(done.task_id, RUN_SINGLE.name, RUN_SINGLE.queue.value)])
        ground.until(lambda j=done.job_id: _has_started(ground, j))
    started = rows(house, "SELECT id, started_at FROM jobs WHERE id = ANY(:jobs)", jobs=list(rung))
    return [1000 * (row.started_at.timestamp() - rung[row.id]) for row in started]


def _has_started(ground: Stand, job_id: UUID) -> bool:
    return bool(
        rows(ground.house, "SELECT 1 FROM jobs WHERE id = :j AND started_at IS NOT NULL", j=job_id)
    )


def process_lines(ground: Stand, seeded: Seeded, items: int) -> list[Line]:
    """The same job with one, two and four bulk processes; the ratio is to one."""
    lines: list[Line] = []
    running, first = 1, None
    for wanted in PROCESSES:
        for _ in range(wanted - running):
            ground.start("bulk")
        running = wanted
        ground.until(lambda n=wanted: _living(ground, "bulk") >= n)
        stock(ground, seeded, items)
        rate = items / _time_job(ground, seeded, items)
        first = first or rate
        lines.append(Line(f"pool job of {items:,}, {wanted} bulk processes", rate, first, ""))
    return lines


def _living(ground: Stand, name: str) -> int:
    found = rows(
        ground.house,
        "SELECT count(*) AS n FROM processes WHERE name = :name "
        "AND beat_at > now() - interval '10 seconds'",
        name=name,
    )
    return int(found[0].n)


def _time_job(ground: Stand, seeded: Seeded, items: int) -> float:
    content = recipients_csv(items)
    began = time.monotonic()
    ground.until_ended(submit(ground.house, seeded, content, allow_repeat=True), seconds=600)
    return time.monotonic() - began


def growth_lines(
    ground: Stand, seeded: Seeded, port: int, key: str, sizes: Iterable[int] = GROWTH
) -> list[Line]:
    """Jobs sent over HTTP, each ten times the one before: cost per item, and who grows."""
    lines: list[Line] = []
    first = None
    for items in sizes:
        stock(ground, seeded, items)
        before = _memory(ground)
        taken = _send(ground, seeded, port, key, items)
        after = _memory(ground)
        cost = 1e6 * taken / items
        first = first or cost
        grown = ", ".join(f"{name} {after[name] - before[name]:+.0f} MiB" for name in after)
        lines.append(Line(f"{items:,} recipients over HTTP, microseconds each", cost, first, grown))
    return lines


def _send(ground: Stand, seeded: Seeded, port: int, key: str, items: int) -> float:
    """Seconds from the first byte of the upload to the last item's end."""
    content = recipients_csv(items)
    began = time.monotonic()
    answer = requests.post(
        f"http://127.0.0.1:{port}/api/v1/gift-cards/provision-jobs",
        data={
            "campaign_id": str(seeded.campaign_id),
            "brand_id": str(seeded.brand_id),
            "denomination_minor": "2500",
            "delivery_method": "none",
            "allow_repeat": "true",
        },
        files={"file": ("recipients.csv", content, "text/csv")},
        headers={"Authorization": f"Bearer {key}", "Idempotency-Key": f"growth-{items}"},
        timeout=120,
    )
    if answer.status_code != 202:
        raise AssertionError(f"{answer.status_code}: {answer.text[:300]}")
    job = ground.until_ended(UUID(json.loads(answer.text)["id"]), seconds=1800)
    assert job["counts"]["succeeded"] == items, job["counts"]
    return time.monotonic() - began


def _memory(ground: Stand) -> dict[str, float]:
    """MiB in use by web's and the bulk workers' processes, with what they forked."""
    return {name: _resident(ground.running[name]) for name in ("web", "bulk")}


def _resident(process: "subprocess.Popen[bytes]") -> float:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    pids = [process.pid, *map(int, children)]
    fields = [Path(f"/proc/{pid}/status").read_text() for pid in pids]
    kilobytes = [int(text.split("VmRSS:")[1].split()[0]) for text in fields]
    return 1024 * max(kilobytes) / MEBIBYTE


def beside_lines(
    ground: Stand, seeded: Seeded, measure_wait: Callable[[], Timings], bulk_items: int
) -> list[Line]:
    """A single request that waits for its end: alone, then beside a bulk job; the ratio is p99s.

    The job is large enough to last as long as what is measured beside it.
    """
    stock(ground, seeded, 2 * CALLS + bulk_items)
    alone = measure_wait()
    job_id = submit(ground.house, seeded, recipients_csv(bulk_items), allow_repeat=True)
    ground.until_done(job_id, 1)
    beside = measure_wait()
    still = rows(ground.house, "SELECT 1 FROM jobs WHERE id = :j AND finished_at IS NULL", j=job_id)
    ground.until_ended(job_id, seconds=600)
    note = f"alone p50 {alone.p50:.0f}, p99 {alone.p99:.0f}; beside p50 {beside.p50:.0f}"
    if not still:
        note += "; the bulk job ended first"
    return [
        Line(f"one card, Prefer: wait, beside {bulk_items:,}: p99 ms", beside.p99, alone.p99, note)
    ]


def _p(values: list[float], percent: int) -> float:
    if percent == 50:
        return statistics.median(values)
    return sorted(values)[int(len(values) * percent / 100)]
