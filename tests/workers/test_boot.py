"""A process refuses settings it cannot live with, in one sentence and with the exit status 2."""

import psycopg
import pytest

from ops.stack import SETTINGS_EXIT
from pipelines.boot import check_database
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
    """EC-137: the supervisor does not start it again."""
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


def test_ec137_behind_pgbouncer_the_sum_is_not_ours(ground: Ground, database: Database) -> None:
    house = with_threads(ground, database, "400", DATABASE_POOLED="1")

    check_database(house)

    house.sessions.kw["bind"].dispose()


def with_threads(ground: Ground, database: Database, threads: str, **more: str) -> House:
    environment = process_environment(database.urls, ground.servers.redis_url)
    return build_house(
        load_settings("bulk", environment | {"LARGESSE_BULK_THREADS": threads} | more)
    )
