"""The commands of the engine against a front that really serves."""

import json
from collections.abc import Iterator
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import text

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.queue.defer import defer
from pipelines.queue.kinds import PURGE_KEYS
from pipelines.wiring import House
from tests.driving import rows
from tests.web.conftest import Caller
from tests.web.shells import Shell, a_shell


@pytest.fixture
def shell(app: Flask, admin: Caller) -> Iterator[Shell]:
    with a_shell(app, admin) as made:
        yield made


def dead_task(house: House) -> UUID:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        task_id = defer(session, PURGE_KEYS, args={}, now=clock.now(session))
        session.execute(
            text(
                "UPDATE tasks SET state = 'dead', died_at = now(), last_error = 'Spent' "
                "WHERE id = :id"
            ),
            {"id": task_id},
        )
    return task_id


def states(house: House) -> list[str]:
    return [row.state for row in rows(house, "SELECT state FROM tasks ORDER BY id")]


def test_queues_are_shown_paused_and_resumed(shell: Shell):
    paused = shell.run("queues", "pause", "bulk", "--reason", "quiet please")
    shown = shell.run("queues")
    again = shell.run("queues", "pause", "bulk", "--reason", "quiet please")
    resumed = shell.run("queues", "resume", "bulk")
    in_json = json.loads(shell.run("queues", "--json").output)

    assert (paused.exit_code, paused.output) == (0, "bulk is paused.\n")
    assert shown.output.endswith("bulk is paused: quiet please\n")
    assert (again.exit_code, again.output) == (4, "The queue is paused already.\n")
    assert resumed.output == "bulk runs.\n"
    assert [queue["paused"] for queue in in_json["queues"]] == [None] * 4


def test_dead_letters_are_listed_replayed_and_buried(shell: Shell, house: House):
    first, second = dead_task(house), dead_task(house)

    listed = shell.run("dead-letters", "list", "--state", "dead").output
    replayed = shell.run("dead-letters", "replay", str(first))
    buried = shell.run("dead-letters", "bury", str(second), "--reason", "not needed")

    assert str(first) in listed
    assert str(second) in listed
    assert (replayed.exit_code, replayed.output) == (0, "1 replayed.\n")
    assert (buried.exit_code, buried.output) == (0, "Buried.\n")
    assert states(house) == ["ready", "buried"]
    assert shell.run("dead-letters", "list", "--state", "dead").output == "No dead letters.\n"


def test_all_of_a_kind_are_replayed(shell: Shell, house: House):
    for _ in range(2):
        dead_task(house)

    none = shell.run("dead-letters", "replay", "--kind", "retention")
    both = shell.run("dead-letters", "replay", "--kind", "purge_keys")

    assert (none.output, both.output) == ("0 replayed.\n", "2 replayed.\n")


def test_a_replay_must_say_of_what(shell: Shell, house: House):
    dead_task(house)

    unsaid = shell.run("dead-letters", "replay")

    assert (unsaid.exit_code, unsaid.output) == (2, "Name one task, or a --kind, or --all.\n")
    assert states(house) == ["dead"]
