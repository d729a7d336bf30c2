"""Partners from a terminal: listed, made, given a secret (S0-33, EC-106)."""

import re
from collections.abc import Iterator
from uuid import UUID

import pytest
from flask import Flask

from pipelines.wiring import House
from tests.booking import make_book
from tests.partnering import SITE, Partner, present, visit
from tests.seeding import Seeded
from tests.web.conftest import Caller
from tests.web.shells import Shell, a_shell

SECRET = re.compile(r"[\w+/]{43}=")


@pytest.fixture
def shell(app: Flask, client_admin: Caller) -> Iterator[Shell]:
    with a_shell(app, client_admin) as made:
        yield made


def drawn(shell: Shell, house: House, identity: str, *options: str) -> Partner:
    """The partner's backend with the secret that was printed, alone on the output."""
    done = shell.run("partners", "secret", identity, *options)
    assert SECRET.fullmatch(done.stdout.strip()), done.output
    return Partner(UUID(identity), done.stdout.strip(), house)


def test_s033_a_partner_is_made_and_listed(
    house: House, seeded: Seeded, shell: Shell, client_admin: Caller
) -> None:
    book = make_book(house, seeded)
    assert shell.run("partners", "list").output == "No partners.\n"

    given = ("--time-zone", "Europe/Vienna", "--origin", SITE, "--offer", f"{book}:Ten off: today")
    identity = shell.run("partners", "create", "Corner shop", *given).output.strip()

    told = client_admin.get(f"/vendors/{identity}").json
    assert (told["time_zone"], told["origins"]) == ("Europe/Vienna", [SITE])
    assert [offer["title"] for offer in told["offers"]] == ["Ten off: today"]
    listed = shell.run("partners", "list").output
    assert (identity in listed, "Corner shop" in listed, "never" in listed) == (True, True, True)
    assert shell.run("partners", "list", "--state", "disabled").output == "No partners.\n"
    assert "--offer as BOOK:TITLE" in shell.run("partners", "create", "x", "--offer", "7").output


def test_ec106_a_secret_is_printed_once_and_the_one_before_goes_on_or_ends(
    app: Flask, house: House, shell: Shell
) -> None:
    """EC-106"""
    identity = shell.run("partners", "create", "Shop").output.strip()
    first = drawn(shell, house, identity)
    second = drawn(shell, house, identity, "--overlap-hours", "2")
    assert [present(app, one.token()).status_code for one in (first, second)] == [201, 201]
    caller = visit(app, second)

    refused = shell.run("partners", "secret", identity)
    third = drawn(shell, house, identity, "--end-all")

    assert (refused.exit_code != 0, "still good beside this one" in refused.output) == (True, True)
    assert SECRET.search(refused.output) is None
    made = [present(app, one.token()).status_code for one in (first, second, third)]
    assert made == [401, 401, 201]
    assert caller.get("/claims").status_code == 401
    both = shell.run("partners", "secret", identity, "--end-all", "--overlap-hours", "1")
    assert "not both" in both.output
    assert "or with --end-all, which ends both" in refused.output
    assert "overlap_seconds" not in refused.output
    for hours in ("0", "721", "9999"):
        long = shell.run("partners", "secret", identity, "--overlap-hours", hours)
        assert (long.exit_code, "at most 720 hours" in long.output) == (2, True), long.output
