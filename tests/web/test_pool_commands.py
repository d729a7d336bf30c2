"""`largesse pools`: what the API does with pools of people, from a terminal."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from pipelines.wiring import House
from tests.driving import drain, rows
from tests.web.conftest import Caller
from tests.web.shells import Shell, a_shell


@pytest.fixture
def shell(app: Flask, manager: Caller) -> Iterator[Shell]:
    with a_shell(app, manager) as made:
        yield made


@pytest.fixture
def pool(manager: Caller) -> str:
    body = {"name": "Beta Testers", "description": "See new things first"}
    return manager.post("/pools", body).json["id"]


def test_s3_059_pools_are_listed_and_shown(shell: Shell, pool: str) -> None:
    listed = shell.run("pools", "list")
    none = shell.run("pools", "list", "--words", "gamma")
    shown = shell.run("pools", "show", pool)

    assert (pool in listed.output, none.output) == (True, "No pools.\n")
    assert shown.output == "Beta Testers: 0 people.\nSee new things first\n"
    assert json.loads(shell.run("pools", "show", pool, "--json").output)["id"] == pool


def test_s3_060_people_are_added_and_who_is_unknown_is_told(shell: Shell, pool: str) -> None:
    given = ("pools", "add", pool, "--email", "a@x.de", "--external-id", "crm-1")

    refused = shell.run(*given)
    skipped = shell.run(*given, "--on-error", "skip")
    done = shell.run(*given, "--create-missing")

    assert (refused.exit_code, "User not found" in refused.output) == (4, True)
    assert "/emails/0: User not found (user_not_found)" in skipped.output
    assert done.output == "2 added, 0 in the pool already.\n"


def test_s3_060_a_file_of_people_is_imported(
    shell: Shell, house: House, pool: str, tmp_path: Path
) -> None:
    file = tmp_path / "people.csv"
    file.write_text("email,name\na@x.de,Ann\n")

    sent = shell.run("pools", "import", pool, str(file), "--create-missing", "--no-wait")
    drain(house)

    assert sent.exit_code == 0
    assert rows(house, "SELECT members FROM user_pools") == [(1,)]
