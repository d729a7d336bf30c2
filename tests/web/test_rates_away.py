"""Without Redis each process counts by itself, at half: never without limit, and never slowly."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from redis import Redis
from structlog.testing import LogCapture

from ops.embedded_valkey import ValkeyServer
from ops.home import Home
from ops.unprivileged import discard
from pipelines.access.rate_policies import Rule, Subject
from tests.conftest import Database, Ground, a_house
from tests.providers.socket_server import Server
from tests.rules.test_rate_windows import Clock
from web import rate_windows
from web.app import create_app
from web.rate_windows import AWAY_SECONDS, PATIENCE_SECONDS, SharedWindows

RULE = Rule("probe", Subject.CALLER, 10, 3600)


@pytest.fixture
def valkey(ground: Ground) -> Iterator[ValkeyServer]:
    """A server of this test alone, for it is stopped."""
    home = Home(Path("/tmp") / f"largesse-rates-{secrets.token_hex(6)}")
    server = ValkeyServer(home, say=lambda _line: None)
    try:
        yield server.start()
    finally:
        server.stop()
        discard(home)


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Takes connections and never says a word; it is waited for as long as a front does."""
    monkeypatch.setattr(rate_windows, "PATIENCE_SECONDS", PATIENCE_SECONDS)
    server = Server(lambda _peer, _server: None)
    yield server
    server.stop()


def hits(windows: SharedWindows, times: int, subject: str = "x") -> list[bool]:
    return [windows.hit(RULE, subject).is_allowed for _time in range(times)]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the windows tell their log."""
    capture = LogCapture()
    level = structlog.make_filtering_bound_logger(0)
    log = structlog.wrap_logger(None, processors=[capture], wrapper_class=level)
    monkeypatch.setattr(rate_windows, "log", log)
    return capture.entries


def test_sec018_while_redis_is_away_half_is_allowed_and_then_all_again(
    valkey: ValkeyServer, told: list[Any]
):
    clock = Clock()
    windows = SharedWindows(valkey.url, clock)
    together = hits(windows, 3)

    valkey.stop()
    alone = hits(windows, 7)
    was_shared = windows.is_shared
    valkey.start()
    clock.now += AWAY_SECONDS
    again = hits(windows, 8, "y")

    assert together == [True] * 3
    assert alone == [True] * 5 + [False] * 2
    assert (was_shared, windows.is_shared) == (False, True)
    assert again == [True] * 8
    assert [(line["event"], line.get("reason")) for line in told] == [
        ("rates.in_memory", "ConnectionError"),
        ("rates.shared_again", None),
    ]


def test_sec018_a_silent_redis_is_waited_for_once(silent: Server):
    clock = Clock()
    windows = SharedWindows(silent.url.replace("http", "redis"), clock)

    allowed = hits(windows, 20)
    first = silent.connections
    clock.now += AWAY_SECONDS
    hits(windows, 20)

    assert allowed == [True] * 5 + [False] * 15
    assert (first, silent.connections) == (1, 2)


def test_sec018_a_redis_without_memory_is_away_too(valkey: ValkeyServer):
    windows = SharedWindows(valkey.url, Clock())
    with Redis.from_url(valkey.url) as client:
        client.config_set("maxmemory", 1)

    assert hits(windows, 7) == [True] * 5 + [False] * 2


def test_sec018_a_front_on_rabbitmq_without_redis_allows_half(ground: Ground, database: Database):
    with a_house(ground, database, QUEUE_URL="amqp://127.0.0.1:1") as house:
        browser = create_app(house).test_client()

        wrong = {"email": "ann@example.com", "password": "wrong"}
        statuses = [browser.post("/api/v1/auth/login", json=wrong).status_code for _ in range(3)]
        told = browser.get("/metrics").text

    assert statuses == [401, 401, 429]
    assert "largesse_rates_shared 0.0" in told


def test_forgiving_works_without_redis_too():
    windows = SharedWindows(None, Clock())
    hits(windows, 5)

    windows.clear(RULE, "x")

    assert hits(windows, 6) == [True] * 5 + [False]
