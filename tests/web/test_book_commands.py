"""`largesse books`: what the API does with books of coupons, from a terminal."""

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
def book(shell: Shell) -> str:
    """A book that was made from the terminal."""
    rules = ("--max-assignments-per-user", "5", "--multi")
    made = shell.run("books", "create", "Summer", "--prefix", "SUN", "--length", "8", *rules)
    return made.output.strip()


def test_s1_132_books_are_made_listed_and_shown(shell: Shell, book: str) -> None:
    listed = shell.run("books", "list")
    none = shell.run("books", "list", "--words", "winter")
    shown = shell.run("books", "show", book)

    assert (book in listed.output, none.output) == (True, "No books.\n")
    assert shown.output.splitlines()[:4] == [
        "Summer is open.",
        "0 coupons: 0 unassigned, 0 assigned, 0 locked, 0 redeemed, 0 void.",
        "A coupon is redeemed more than once.",
        "max_assignments_per_user: 5",
    ]
    assert "Codes: SUN-········, room for " in shown.output
    told = json.loads(shell.run("books", "show", book, "--json").output)
    assert (told["id"], told["pattern"]["prefix"]) == (book, "SUN")
    assert json.loads(shell.run("books", "list", "--json").output)["data"][0]["id"] == book


def test_s1_110_a_book_that_tells_its_holders_is_made_from_a_terminal(
    shell: Shell, book: str
) -> None:
    telling = shell.run("books", "create", "Telling", "--tells-holder").output.strip()

    told = "Its holder is told by mail when it is redeemed."
    assert told in shell.run("books", "show", telling).output.splitlines()
    assert told not in shell.run("books", "show", book).output


def test_s1_132_codes_are_generated_and_imported(
    shell: Shell, house: House, book: str, tmp_path: Path
) -> None:
    file = tmp_path / "codes.csv"
    file.write_text("code\nMINE-0001\nMINE-0002\n")

    made = shell.run("books", "generate", book, "--count", "3", "--no-wait")
    sent = shell.run("books", "import", book, str(file), "--no-wait")
    drain(house)

    assert (made.exit_code, sent.exit_code) == (0, 0)
    assert rows(house, "SELECT count(*) FROM coupons WHERE code LIKE 'SUN-%'") == [(3,)]
    assert rows(house, "SELECT count(*) FROM coupons WHERE code LIKE 'MINE-%'") == [(2,)]
    assert "5 coupons: 5 unassigned" in shell.run("books", "show", book).output


def test_a_book_without_a_pattern_generates_nothing(shell: Shell, house: House) -> None:
    plain = shell.run("books", "create", "Uploads only").output.strip()

    refused = shell.run("books", "generate", plain, "--count", "3", "--no-wait")

    assert (refused.exit_code, "The book has no pattern" in refused.output) == (4, True)
    assert rows(house, "SELECT FROM jobs") == []
