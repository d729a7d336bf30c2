"""Real servers for every test: one PostgreSQL and one Valkey per test process, one database each."""

import base64
import logging
import os
import secrets
import shutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings
from redis import Redis

from models.database import Sessions
from models.schema import migrate
from ops.bootstrap import create_from_template, database_url, drop_database, ensure_database
from ops.embedded import Servers, role_passwords, role_urls, start_servers
from ops.home import Home
from ops.surroundings import sandbox_vendors
from ops.unprivileged import discard
from pipelines import telemetry, vendor_settings
from pipelines.settings import Settings, load
from pipelines.wiring import House, build_house
from tests import canary
from tests.quicker import keep_what_was_collected, look_for_no_garbage, make_once
from tests.seed_once import use_servers
from tests.vendor import Sandbox
from web import rate_windows

hypothesis_settings.register_profile("house", deadline=None, derandomize=True, max_examples=60)
hypothesis_settings.load_profile("house")
canary.mark_tokens()
look_for_no_garbage()

TEMPLATE = "largesse_test_template"
#: What the servers of two test processes may need of the memory's file system.
MEMORY_BYTES = 2 * 1024**3
#: The environment of whoever runs the tests says nothing to them.
SURROUNDINGS = (
    "LARGESSE_",
    "DATABASE_",
    *vendor_settings.variables(),
    "QUEUE_",
    "REDIS_",
    "TRUSTED_",
    "CAPTCHA_",
    "SMTP_",
    "MAIL_",
    "PORT",
    "PUBLIC_URL",
    "DEMO_",
)
MASTER_KEYS = "1:" + base64.b64encode(b"k" * 32).decode()


@dataclass(frozen=True, slots=True)
class Ground:
    """The servers of this test process."""

    home: Home
    servers: Servers


@dataclass(frozen=True, slots=True)
class Database:
    """One test's own migrated database: the superuser's address and one per login."""

    name: str
    admin_url: str
    urls: dict[str, str]


def pytest_collection_finish() -> None:
    keep_what_was_collected()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test wrote to its output is searched like any other log (EC-124)."""
    report = yield
    found = [hit for title, text in report.sections for hit in canary.in_text(title, text)]
    if found and report.when == "teardown":
        report.outcome, report.longrepr = "failed", canary.words(found)
    return report


def _quickest_folder() -> Path:
    """Memory where it has room: a test's database is copied there in a tenth of the time."""
    memory = Path("/dev/shm")
    has_room = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free >= MEMORY_BYTES
    return memory if has_room else Path("/tmp")


def _clear_up(folder: Path) -> None:
    """What a killed run's servers left, for memory is dear; by one of the processes of this run."""
    if os.environ.get("PYTEST_XDIST_WORKER", "gw0") != "gw0":
        return
    for left in folder.glob("largesse-suite-*"):
        if not Path("/proc", left.name.split("-")[2]).exists():
            discard(Home(left))


@pytest.fixture(scope="session")
def ground() -> Iterator[Ground]:
    folder = _quickest_folder()
    _clear_up(folder)
    home = Home(folder / f"largesse-suite-{os.getpid()}-{secrets.token_hex(4)}")
    fast = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "on"}
    allowed = {"max_prepared_transactions": "2"}
    with start_servers(home, settings=fast | allowed, say=lambda _line: None) as servers:
        ensure_database(servers.admin_url, database=TEMPLATE, passwords=role_passwords(home))
        migrate(role_urls(home, servers.admin_url, TEMPLATE)["largesse_owner"])
        use_servers(servers.admin_url)
        wire = canary.Wire(servers.redis_url)
        yield Ground(home, servers)
        found = (
            canary.in_redis(servers.redis_url) + wire.leaks() + canary.in_logs(home.path / "logs")
        )
    discard(home)
    canary.refuse(found)


@pytest.fixture(scope="session", autouse=True)
def _fronts_are_made_quickly() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        make_once(patch)
        yield


@pytest.fixture(scope="session", autouse=True)
def _redis_is_given_time() -> Iterator[None]:
    """A busy machine may stop for longer than a front waits for a count, which then is another."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rate_windows, "PATIENCE_SECONDS", 5.0)
        yield


@pytest.fixture
def database(ground: Ground) -> Iterator[Database]:
    admin_url = ground.servers.admin_url
    name = f"largesse_{secrets.token_hex(6)}"
    create_from_template(admin_url, TEMPLATE, name)
    forget_rates(ground.servers.redis_url)
    yield Database(name, admin_url, role_urls(ground.home, admin_url, name))
    found = canary.in_database(database_url(admin_url, name))
    drop_database(admin_url, name)
    canary.refuse(found)


def forget_rates(redis_url: str) -> None:
    """What one test asked for is not counted against the next."""
    with Redis.from_url(redis_url) as client:
        for key in client.scan_iter("largesse:rate:*", count=1000):
            client.delete(key)


def process_environment(
    urls: dict[str, str], redis_url: str, *, time_scale: float = 1.0, **extra: str
) -> dict[str, str]:
    """The environment of product processes on a test's own database."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return (
        kept
        | {
            "LARGESSE_ENV": "test",
            "DATABASE_WEB_URL": urls["largesse_web"],
            "DATABASE_WORKER_URL": urls["largesse_worker"],
            "DATABASE_SYSTEM_URL": urls["largesse_system"],
            "DATABASE_READONLY_URL": urls["largesse_readonly"],
            "DATABASE_OWNER_URL": urls["largesse_owner"],
            "QUEUE_URL": redis_url,
            "LARGESSE_MASTER_KEYS": MASTER_KEYS,
            "LARGESSE_TOKEN_KEY": "t" * 48,
            "CRON_SECRET": "c" * 32,
            "LARGESSE_TIME_SCALE": str(time_scale),
            "PYTHONUNBUFFERED": "1",
        }
        | extra
    )


def load_settings(process: str, environment: dict[str, str]) -> Settings:
    """Read settings as a process with this environment would."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(SURROUNDINGS):
                patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        return load(process)


@pytest.fixture
def house(ground: Ground, database: Database) -> Iterator[House]:
    with a_house(ground, database) as built:
        yield built


@contextmanager
def a_house(
    ground: Ground, database: Database, *, time_scale: float = 1.0, **extra: str
) -> Iterator[House]:
    """A house in this process: tools' pool, the worker's login."""
    urls, redis_url = database.urls, ground.servers.redis_url
    environment = process_environment(urls, redis_url, time_scale=time_scale, **extra)
    telemetry.configure("tests", level=logging.DEBUG)
    built = build_house(load_settings("tools", environment))
    yield built
    built.sessions.kw["bind"].dispose()


@pytest.fixture
def sessions(house: House) -> Sessions:
    return house.sessions


@pytest.fixture(scope="session")
def sandbox_process() -> Iterator[Sandbox]:
    sandbox = Sandbox()
    yield sandbox
    sandbox.process.terminate()
    sandbox.process.wait(timeout=5)


@pytest.fixture
def sandbox(sandbox_process: Sandbox) -> Sandbox:
    """The vendor, without orders or faults at the start of each test."""
    sandbox_process.control("POST", "/reset")
    return sandbox_process


def vendor_environment(sandbox: Sandbox) -> dict[str, str]:
    """Where the adapters and the post find the sandbox."""
    vendors = sandbox_vendors(sandbox.url, secret=canary.MARK)
    return {"SMTP_URL": f"smtp://127.0.0.1:{sandbox.smtp_port}"} | vendors


@pytest.fixture
def vendor_house(ground: Ground, database: Database, sandbox: Sandbox) -> Iterator[House]:
    """A house whose waits are 50 times shorter and whose vendor is the sandbox."""
    with a_house(ground, database, time_scale=0.02, **vendor_environment(sandbox)) as built:
        yield built
