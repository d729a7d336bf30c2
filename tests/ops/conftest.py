"""Real servers for the tests of ops: one pair for the session, fresh folders where a test needs one."""

import os
import secrets
import select
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from ops.bootstrap import create_from_template, drop_database, ensure_database
from ops.embedded import Servers, role_passwords, role_urls, start_servers
from ops.home import Home
from ops.unprivileged import discard

TEMPLATE = "largesse_template"


@dataclass(frozen=True, slots=True)
class Stack:
    """The session's servers and their data folder."""

    home: Home
    servers: Servers


@dataclass(frozen=True, slots=True)
class Database:
    """One test's own database: the superuser's address and one per login."""

    name: str
    admin_url: str
    urls: dict[str, str]

    def connect(self, login: str) -> psycopg.Connection:
        return psycopg.connect(self.urls[login], autocommit=True)


def fresh_home() -> Home:
    """A folder that the servers' account can reach: pytest's own temporary folders are closed."""
    return Home(Path("/tmp") / f"largesse-test-{secrets.token_hex(6)}")


def wait_until_gone(pids: list[int], seconds: float = 20.0) -> list[int]:
    """The processes that are still there after `seconds`; the kernel wakes us as each one ends."""
    left = []
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        with os.fdopen(handle):
            if not select.select([handle], [], [], seconds)[0]:
                left.append(pid)
    return left


@pytest.fixture(scope="session", autouse=True)
def _sigint_is_heard() -> Iterator[None]:
    """Who runs the tests in the background of a shell ignores SIGINT; a user's stack does not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    home = fresh_home()
    with start_servers(home) as servers:
        ensure_database(servers.admin_url, database=TEMPLATE, passwords=role_passwords(home))
        yield Stack(home=home, servers=servers)
    discard(home)


@pytest.fixture
def database(stack: Stack) -> Iterator[Database]:
    admin_url = stack.servers.admin_url
    name = f"largesse_{secrets.token_hex(6)}"
    create_from_template(admin_url, TEMPLATE, name)
    yield Database(name=name, admin_url=admin_url, urls=role_urls(stack.home, admin_url, name))
    drop_database(admin_url, name)


@pytest.fixture
def home() -> Iterator[Home]:
    home = fresh_home()
    yield home
    if home.path.exists():
        discard(home)
