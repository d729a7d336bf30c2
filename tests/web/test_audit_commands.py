"""`largesse audit verify` and `largesse erase`: what an auditor and a data officer run."""

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result
from flask import Flask

from models.base import new_id
from ops.__main__ import main
from ops.doctor import audit_tail
from pipelines.audit.witness import LOGGED_AS
from pipelines.wiring import House
from tests.auditing import STREAM, as_superuser, at, forge_tail, seal_all, witness, write
from tests.conftest import MASTER_KEYS, Database
from tests.driving import drain, rows
from tests.web.conftest import Caller
from tests.web.shells import Shell, a_shell


@pytest.fixture
def shell(app: Flask, admin: Caller) -> Iterator[Shell]:
    with a_shell(app, admin) as made:
        yield made


def verify(database: Database, *options: str, keys: str | None = MASTER_KEYS) -> Result:
    environment = {
        "DATABASE_READONLY_URL": database.urls["largesse_readonly"],
        "LARGESSE_MASTER_KEYS": keys,
    }
    return CliRunner().invoke(main, ["audit", "verify", *options], env=environment)


def test_a_whole_log_is_said_to_hold(house: House, database: Database):
    write(house, 3)
    seal_all(house)
    witness(house)
    write(house, 1)

    done = verify(database)
    found = json.loads(verify(database, "--json").output)

    assert done.exit_code == 0
    assert "3 audit entries, 1 streams: they hold." in done.output
    assert "Not sealed yet: 1, for" in done.output
    assert (found["ok"], found["entries"], found["witnesses"]) == (True, 3, 1)
    assert (found["unsealed"]["entries"], found["witnesses_proven"]) == (1, True)


def test_a_stream_that_is_not_there_is_no_proof(house: House, database: Database):
    """A typing error in a nightly job may not look like a log that holds."""
    write(house, 1)
    seal_all(house)

    done = verify(database, "--stream", "nope")

    assert done.exit_code != 0
    assert "There is no stream 'nope'" in str(done.exception or "") + done.output
    assert verify(database, "--stream", STREAM).exit_code == 0


def test_sec29_a_changed_entry_ends_the_command_with_one_and_is_named(
    house: House, database: Database
):
    write(house, 3)
    seal_all(house)
    as_superuser(database, f"UPDATE audit_entries SET action = 'x' WHERE {at(2)}")

    done = verify(database)
    in_json = verify(database, "--json")
    elsewhere = verify(database, "--stream", "platform")

    assert (done.exit_code, in_json.exit_code, elsewhere.exit_code) == (1, 1, 0)
    assert f"{STREAM} 2: the entry is not what was sealed" in done.output
    told = json.JSONDecoder().raw_decode(in_json.output)[0]["broken"]
    assert [(one["stream"], one["sequence"], one["wrong"]) for one in told] == [
        (STREAM, 2, "changed")
    ]


def test_a_log_file_is_a_witness(house: House, database: Database, tmp_path: Path):
    write(house, 3)
    seal_all(house)
    witness(house)
    (kept,) = rows(house, "SELECT * FROM audit_witnesses")
    line = {
        "event": LOGGED_AS,
        "stream": kept.stream,
        "sequence": kept.sequence,
        "head": bytes(kept.hash).hex(),
        "mac": bytes(kept.mac).hex(),
    }
    log = tmp_path / "worker.log"
    log.write_text("started\n" + json.dumps(line) + "\n")
    forge_tail(house, database, 2)
    as_superuser(database, "DELETE FROM audit_witnesses")

    assert verify(database).exit_code == 0
    assert verify(database, "--log", str(log)).exit_code == 1
    assert verify(database, "--log", str(log), keys=None).exit_code == 1


def test_keys_that_are_not_ours_prove_nothing(house: House, database: Database):
    write(house, 1)
    seal_all(house)
    witness(house)

    other = "1:" + "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg="
    assert verify(database, keys=other).exit_code == 1
    assert verify(database, keys="nonsense").exit_code == 2


def test_the_doctor_sees_entries_that_nobody_seals(house: House, database: Database):
    write(house, 2)
    with psycopg.connect(database.urls["largesse_readonly"]) as connection:
        fresh = audit_tail(connection)
    as_superuser(database, "UPDATE audit_entries SET at = at - interval '10 minutes'")
    with psycopg.connect(database.urls["largesse_readonly"]) as connection:
        old = audit_tail(connection)
    seal_all(house)
    with psycopg.connect(database.urls["largesse_readonly"]) as connection:
        sealed = audit_tail(connection)

    assert (fresh.ok, old.ok, sealed.ok) == (True, False, True)
    assert "queue" in old.remedy
    assert sealed.detail == "sealed to its end"


def test_a_person_is_erased_from_a_terminal(house: House, shell: Shell):
    asked = shell.run("erase", "--email-stdin", "--reason", "a letter", input="ann@shop.com\n")
    drain(house)
    nobody = shell.run("erase", "--email-stdin", "--reason", "a letter", input="\n")
    bare = shell.run("erase", "--reason", "a letter")
    stranger = shell.run("erase", "--user-id", str(new_id()), "--reason", "a letter")

    assert asked.exit_code == 0, asked.output
    (done,) = rows(house, "SELECT id, state FROM erasures")
    assert str(done.id) in asked.output
    assert done.state == "finished"
    assert (nobody.exit_code, bare.exit_code, stranger.exit_code) == (2, 2, 4)
