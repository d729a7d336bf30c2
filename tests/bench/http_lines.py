"""Accept latency over HTTP, beside a bare route under the same server, in the same run."""

import http.client
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from ops.home import free_port
from pipelines.access.api_keys import NewKey, draw_key, make_key
from pipelines.access.permissions import KeyScope
from tests.bench.limits import superuser
from tests.chaos.stand import Stand
from tests.seeding import ACTOR, Seeded

CALLS = 400
CLIENTS = 8


@dataclass(frozen=True, slots=True)
class Timings:
    """Calls per second with eight clients; milliseconds of one client at a time."""

    rate: float
    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Fronts:
    """Our front and the bare route, both serving, with a storefront's key."""

    port: int
    bare_port: int
    key: str
    body: str

    def accept(self) -> Timings:
        """A 202 for one card; the work behind it waits, as the bare route has none."""
        return timed(lambda n: _ours(self, f"a{n}-{time.time_ns()}", prefer=None))

    def wait(self) -> Timings:
        """One client that waits for the outcome."""
        return timed(lambda n: _ours(self, f"w{n}-{time.time_ns()}", prefer="wait=10"), rate=False)

    def bare(self) -> Timings:
        """The bare route: one INSERT and its commit."""
        return timed(lambda _n: (self.bare_port, "/accept", self.body, {}, 202))


@contextmanager
def fronts(ground: Stand, seeded: Seeded, connection: psycopg.Connection) -> Iterator[Fronts]:
    """Both fronts, serving until the block ends."""
    connection.execute("CREATE TABLE bare_accepts (id bigserial PRIMARY KEY, body text)")
    port, bare_port = free_port(), free_port()
    ground.start("web", PORT=str(port))
    bare = _start("tests.bench.bare_app", ground, PORT=str(bare_port), BARE_URL=superuser(ground))
    try:
        for ready_port, path in ((port, "/healthz"), (bare_port, "/")):
            ground.until(lambda p=ready_port, w=path: _answers(p, w))
        yield Fronts(port, bare_port, _key(ground, seeded), _body(seeded))
    finally:
        bare.kill()
        bare.wait(timeout=10)


def _start(module: str, ground: Stand, **extra: str) -> "subprocess.Popen[bytes]":
    log = (ground.logs / f"{module}.log").open("wb")
    command = [sys.executable, "-m", module]
    return subprocess.Popen(command, env=ground.environment | extra, stdout=log, stderr=log)


def _key(ground: Stand, seeded: Seeded) -> str:
    drawn = draw_key(is_live=False)
    with scoped_transaction(ground.house.sessions, SYSTEM) as session:
        make_key(
            session,
            drawn,
            NewKey("bench", seeded.client_id, (KeyScope.PROVISION, KeyScope.JOBS_READ)),
            actor_id=ACTOR,
            now=clock.now(session),
        )
    return drawn.text


def _body(seeded: Seeded) -> str:
    return json.dumps(
        {
            "campaign_id": str(seeded.campaign_id),
            "brand_id": str(seeded.brand_id),
            "denomination_minor": 2500,
            "delivery_method": "none",
            "recipient": {"reference": "bench"},
        }
    )


Call = tuple[int, str, str, dict[str, str], int]


def _ours(fronts: Fronts, name: str, *, prefer: str | None) -> Call:
    headers = {"Authorization": f"Bearer {fronts.key}", "Idempotency-Key": f"bench-{name}"}
    if prefer:
        headers["Prefer"] = prefer
    path = "/api/v1/gift-cards/provision"
    return fronts.port, path, fronts.body, headers, 200 if prefer else 202


def _answers(port: int, path: str) -> bool:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        connection.request("GET", path)
        return connection.getresponse().status < 500
    except OSError:
        return False


def timed(call_of: Callable[[int], Call], *, rate: bool = True) -> Timings:
    """One client for the latency, then eight for the rate."""
    latencies = _run(call_of, range(CALLS))
    per_second = 0.0
    if rate:
        share = CALLS // CLIENTS
        threads = [
            threading.Thread(
                target=_run, args=(call_of, range(CALLS + n * share, CALLS + (n + 1) * share))
            )
            for n in range(CLIENTS)
        ]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        per_second = CLIENTS * share / (time.monotonic() - began)
    ordered = sorted(latencies)
    return Timings(per_second, statistics.median(ordered), ordered[int(len(ordered) * 0.99)])


def _run(call_of: Callable[[int], Call], numbers: range) -> list[float]:
    connection: http.client.HTTPConnection | None = None
    taken = []
    for number in numbers:
        port, path, body, headers, expected = call_of(number)
        connection = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        began = time.monotonic()
        connection.request(
            "POST" if body else "GET",
            path,
            body or None,
            headers | {"Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        content = answer.read()
        taken.append((time.monotonic() - began) * 1000)
        if answer.status != expected:
            raise AssertionError(f"{answer.status}: {content[:300]!r}")
    return taken
