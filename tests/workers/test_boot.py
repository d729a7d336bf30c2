"""A process refuses settings it cannot live with, in one sentence and with the exit status 2."""

import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from sqlalchemy import text

from models.base import new_id
from models.database import scoped_transaction
from models.scope import SYSTEM
from ops.stack import SETTINGS_EXIT
from pipelines.boot import Room, _room, check_database
from pipelines.settings import SettingsBroken
from pipelines.wiring import House, build_house
from tests.conftest import Database, Ground, load_settings, process_environment
from tests.workers.crew import Crew


@pytest.mark.parametrize(
    ("name", "setting", "sentence"),
    [
        (
            "bulk",
            {"LARGESSE_BULK_THREADS": "400"},
            "bulk: This process needs 401 database connections; the server allows 197 in all",
        ),
        (
            "bulk",
            {"LARGESSE_BULK_THREADS": "0"},
            "bulk: LARGESSE_<PROCESS>_THREADS must be 1 or more.",
        ),
        (
            "relay",
            {"LARGESSE_DRAIN_SECONDS": "0"},
            "relay: LARGESSE_DRAIN_SECONDS must be more than 0 and at most 20: ",
        ),
        (
            "vendors",
            {"LARGESSE_DRAIN_SECONDS": "21"},
            "vendors: LARGESSE_DRAIN_SECONDS must be more than 0 and at most 20: ",
        ),
    ],
)
def test_ec137_settings_that_cannot_work_are_refused(
    crew: Crew, name: str, setting: dict[str, str], sentence: str
) -> None:
    """EC-137: it says why in one line; `up` gives up over it before the stack is ready."""
    process = crew.start(name, beats=False, **setting)

    assert process.wait(timeout=30) == SETTINGS_EXIT == 2
    assert crew.logs().startswith(sentence)
    assert len(crew.logs().splitlines()) == 1
    assert crew.beats() == []


def test_ec137_the_front_is_refused_too(crew: Crew) -> None:
    process = crew.start("web", module="web", beats=False, LARGESSE_WEB_THREADS="400", PORT="0")

    assert process.wait(timeout=30) == 2
    assert crew.logs().startswith("web: This process needs 401 database connections;")


def test_ec137_what_others_use_is_counted(ground: Ground, database: Database) -> None:
    """EC-137: a pool that would fit an empty server does not fit the one that is there."""
    house = with_threads(ground, database, "180")
    held = [psycopg.connect(database.urls["largesse_readonly"]) for _ in range(20)]

    with pytest.raises(SettingsBroken, match=r"needs 181 .* allows 197 in all and 2"):
        check_database(house)

    for connection in held:
        connection.close()
    house.sessions.kw["bind"].dispose()


def test_ec137_three_pools_that_would_fill_the_server_do_not_all_start(crew: Crew) -> None:
    """EC-137: each fits by itself, and those that run have hardly any connection open yet."""
    for name in ("bulk", "interactive"):
        crew.start(name, **{f"LARGESSE_{name.upper()}_THREADS": "80"})

    third = crew.start("deliveries", beats=False, LARGESSE_DELIVERIES_THREADS="80")

    assert third.wait(timeout=30) == 2
    sentence = (
        "deliveries: This process needs 81 database connections; the server allows 197 in all "
        "and 162 belong to the pools of processes that run. Raise max_connections, "
    )
    assert sentence in crew.logs()
    assert sorted(beat.name for beat in crew.beats()) == ["bulk", "interactive"]


def test_ec137_a_killed_process_does_not_keep_its_successor_out(crew: Crew) -> None:
    """EC-137: its row stands for a while; on its own machine one can see that it is gone."""
    first = crew.start("bulk", LARGESSE_TIME_SCALE="1", LARGESSE_BULK_THREADS="150")
    first.kill()
    first.wait(timeout=10)

    second = crew.start("bulk", LARGESSE_TIME_SCALE="1", LARGESSE_BULK_THREADS="150")

    assert second.poll() is None
    assert {beat.pid for beat in crew.beats()} == {first.pid, second.pid}


def test_ec137_a_row_of_another_machine_that_does_not_beat_is_outlived(
    ground: Ground, database: Database
) -> None:
    """EC-137: it may be dead, so nobody is refused for it; one that beats again is alive."""
    house = with_threads(ground, database, "150", LARGESSE_TIME_SCALE="0.02")
    add_row(house, host="elsewhere", beat_at="now()")
    assert _room(house, since=datetime.now(UTC)).has(151) is False

    check_database(house)

    assert _room(house, since=datetime.now(UTC)).has(151) is True
    house.sessions.kw["bind"].dispose()


@pytest.mark.parametrize(
    ("room", "has", "never_has"),
    [
        (Room(allowed=200, in_use=10, pooled=140, proven=140), True, False),
        (Room(allowed=200, in_use=10, pooled=141, proven=0), False, False),
        (Room(allowed=200, in_use=10, pooled=141, proven=140), False, False),
        (Room(allowed=200, in_use=10, pooled=141, proven=141), False, True),
        (Room(allowed=200, in_use=140, pooled=10, proven=0), True, False),
        (Room(allowed=200, in_use=141, pooled=10, proven=0), False, True),
    ],
)
def test_ec137_sixty_connections_fit_beside_what_is_in_use_and_what_is_pooled(
    room: Room, has: bool, never_has: bool
) -> None:
    assert (room.has(60), room.never_has(60)) == (has, never_has)


def test_ec137_who_drains_or_is_gone_from_this_machine_keeps_nobody_out(
    ground: Ground, database: Database
) -> None:
    house = with_threads(ground, database, "150")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait(timeout=30)
    add_row(house, pid=gone.pid)
    add_row(house, state="draining")
    add_row(house, host="elsewhere", beat_at="now() - interval '31 seconds'")

    room = _room(house, since=datetime.now(UTC))
    add_row(house)

    assert (room.pooled, room.proven) == (0, 0)
    assert _room(house, since=datetime.now(UTC) - timedelta(seconds=20)).proven == 101
    house.sessions.kw["bind"].dispose()


def test_ec137_behind_pgbouncer_the_sum_is_not_ours(ground: Ground, database: Database) -> None:
    house = with_threads(ground, database, "400", DATABASE_POOLED="1")

    check_database(house)

    house.sessions.kw["bind"].dispose()


def with_threads(ground: Ground, database: Database, threads: str, **more: str) -> House:
    environment = process_environment(database.urls, ground.servers.redis_url)
    return build_house(
        load_settings("bulk", environment | {"LARGESSE_BULK_THREADS": threads} | more)
    )


def add_row(
    house: House,
    *,
    host: str | None = None,
    pid: int | None = None,
    state: str = "running",
    beat_at: str = "now()",
) -> None:
    """What a process of a hundred threads wrote last; without more, this one on this machine."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(
            text(
                "INSERT INTO processes (id, name, host, pid, threads, state, beat_at) "
                f"VALUES (:id, 'bulk', :host, :pid, 100, :state, {beat_at})"
            ),
            {
                "id": new_id(),
                "host": host or socket.gethostname(),
                "pid": pid or os.getpid(),
                "state": state,
            },
        )
