"""Accept latency over HTTP, beside a bare route under the same server, in the same run."""

import http.client
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from ops.home import free_port
from pipelines.access.api_keys import draw_key, make_key
from pipelines.access.permissions import KeyScope
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


def measure(ground: Stand, seeded: Seeded, connection: psycopg.Connection) -> dict[str, Timings]:
    """Timings of our accept, of the wait for the outcome, and of the bare route."""
    connection.execute("CREATE TABLE bare_accepts (id bigserial PRIMARY KEY, body text)")
    key = _key(ground, seeded)
    port, bare_port = free_port(), free_port()
    superuser = ground.servers.admin_url.rpartition("/")[0] + "/largesse"
    started = [
        _start("web", ground, PORT=str(port)),
        _start("tests.bench.bare_app", ground, PORT=str(bare_port), BARE_URL=superuser),
    ]
    try:
        for ready_port, path in ((port, "/healthz"), (bare_port, "/")):
            ground.until(lambda p=ready_port, w=path: _answers(p, w))
        body = _body(seeded)
        return {
            "accept": _time(lambda n: _ours(port, key, body, f"a{n}", prefer=None)),
            "wait": _time(lambda n: _ours(port, key, body, f"w{n}", prefer="wait=10"), rate=False),
            "bare": _time(lambda _n: (bare_port, "/accept", body, {}, 202)),
        }
    finally:
        for process in started:
            process.kill()
            process.wait(timeout=10)


def _start(module: str, ground: Stand, **extra: str) -> "subprocess.Popen[bytes]":
    log = ground.home.open_log(module.replace(".", "-"))
    command = [sys.executable, "-m", module]
    return subprocess.Popen(command, env=ground.environment | extra, stdout=log, stderr=log)


def _key(ground: Stand, seeded: Seeded) -> str:
    drawn = draw_key(is_live=False)
    with scoped_transaction(ground.house.sessions, SYSTEM) as session:
        make_key(
            session,
            drawn,
            name="bench",
            agency_id=seeded.agency_id,
            client_id=seeded.client_id,
            scopes=frozenset({KeyScope.PROVISION, KeyScope.JOBS_READ}),
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


def _ours(port: int, key: str, body: str, name: str, *, prefer: str | None) -> Call:
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": f"bench-{name}"}
    if prefer:
        headers["Prefer"] = prefer
    return port, "/api/v1/gift-cards/provision", body, headers, 200 if prefer else 202


def _answers(port: int, path: str) -> bool:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        connection.request("GET", path)
        return connection.getresponse().status < 500
    except OSError:
        return False


def _time(call_of: Callable[[int], Call], *, rate: bool = True) -> Timings:
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
        connection.request("POST", path, body, headers | {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        taken.append((time.monotonic() - began) * 1000)
        if answer.status != expected:
            raise AssertionError(f"{answer.status}: {content[:300]!r}")
    return taken
