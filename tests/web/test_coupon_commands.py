"""`largesse coupons`, `distribute` and `draw verify`: what the API does, from a terminal."""

import json
import threading
from collections.abc import Iterator
from uuid import UUID

import pytest
from flask import Flask

from models.books import CouponState
from pipelines.wiring import House
from tests.booking import make_book
from tests.couponing import bring, finish, id_of, put_codes, state_of
from tests.distributing import make_pool, stocked_book
from tests.driving import rows
from tests.seeding import Seeded
from tests.web.conftest import Caller
from tests.web.shells import Shell, a_shell


@pytest.fixture
def shell(app: Flask, manager: Caller) -> Iterator[Shell]:
    with a_shell(app, manager) as made:
        yield made


@pytest.fixture
def code(house: House, seeded: Seeded) -> str:
    """A coupon that nobody has."""
    (made,) = put_codes(house, seeded, make_book(house, seeded, name="Summer"), 1)
    return made


@pytest.fixture
def place(house: House, seeded: Seeded) -> tuple[UUID, UUID]:
    """A pool of seven people and a book of which each may have three."""
    pool, _people = make_pool(house, seeded, 7)
    return pool, stocked_book(house, seeded, 40, max_assignments_per_user=3)


@pytest.fixture
def working(house: House) -> Iterator[None]:
    """Somebody does the work while the caller waits."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.02):
            finish(house)

    worker = threading.Thread(target=work)
    worker.start()
    yield
    stop.set()
    worker.join()


def distributed(shell: Shell, house: House, place: tuple[UUID, UUID], *options: str) -> str:
    """The id of a distribution's job, which has ended."""
    pool, book = place
    sent = shell.run("distribute", "--pool", str(pool), "--book", str(book), *options)
    assert sent.exit_code == 0
    finish(house)
    return sent.output.strip()


def test_s1_132_a_coupon_is_shown_and_its_history_told(
    shell: Shell, house: House, seeded: Seeded, manager: Caller, code: str
) -> None:
    bring(house, seeded, code, CouponState.LOCKED, id_of(manager))

    shown = shell.run("coupons", "show", code).output.splitlines()
    told = shell.run("coupons", "history", code).output.splitlines()

    assert shown[0] == f"{code} of Summer is locked with {id_of(manager)}."
    assert "  redeem: Cannot redeem LOCKED coupon" in shown
    assert "  unlock: yes" in shown
    assert [line.split()[1] for line in told] == ["assigned", "locked"]
    assert json.loads(shell.run("coupons", "show", code, "--json").output)["state"] == "locked"
    told_in_json = json.loads(shell.run("coupons", "history", code, "--json").output)
    assert len(told_in_json["data"]) == 2


def test_s1_132_a_coupon_is_given_released_and_voided(
    shell: Shell, house: House, manager: Caller, code: str, working: None
) -> None:
    given = shell.run("coupons", "assign", "--code", code, "--user", str(id_of(manager)))
    again = shell.run("coupons", "assign", "--code", code, "--user", str(id_of(manager)))
    back = shell.run("coupons", "release", code, "--reason", "A mistake")
    gone = shell.run("coupons", "void", code)

    assert (given.output, state_of(house, code)) == (f"{code}\n", "void")
    assert (again.exit_code, "Coupon not available" in again.output) == (4, True)
    assert (back.output, gone.output) == (f"{code} is unassigned.\n", f"{code} is void.\n")


def test_a_coupon_is_assigned_to_somebody_and_from_somewhere(shell: Shell, code: str) -> None:
    """What is left open is asked for before anything is sent."""
    for given in ((), ("--code", code), ("--user", "x"), ("--code", code, "--book", "b")):
        done = shell.run("coupons", "assign", *given)

        assert done.exit_code == 2
        assert "Give --book or --code, and --user, --email or --external-id." in done.output


def test_s1_132_a_distribution_is_previewed_and_writes_nothing(
    shell: Shell, house: House, place: tuple[UUID, UUID]
) -> None:
    """S3-050"""
    pool, book = place

    done = shell.run(
        *("distribute", "--pool", str(pool), "--book", str(book)),
        *("--mode", "equal", "--count", "14", "--preview"),
    )

    plan = json.loads(done.output)
    assert (plan["per_user"], plan["to_assign"], plan["members"]) == (2, 14, 7)
    assert rows(house, "SELECT FROM jobs") == []


@pytest.mark.parametrize(
    "options",
    [
        ("--mode", "random", "--count", "9"),
        ("--mode", "random", "--count", "24", "--allow-partial"),
        ("--mode", "random", "--count", "5", "--max-per-recipient", "1", "--seed", "dice"),
        ("--mode", "equal", "--count", "17", "--remainder", "random"),
        ("--mode", "equal", "--count", "17", "--remainder", "first"),
        ("--mode", "equal", "--count", "17"),
    ],
)
def test_a_distribution_is_drawn_again_from_what_is_told_of_it(
    shell: Shell, house: House, place: tuple[UUID, UUID], options: tuple[str, ...]
) -> None:
    """Idea 13, EC-096: who got which coupon follows from the seed; the terminal recomputes it."""
    job_id = distributed(shell, house, place, *options)

    done = shell.run("draw", "verify", job_id)

    given = rows(house, "SELECT count(*) FROM coupons WHERE state = 'assigned'")[0][0]
    assert done.output == f"OK: {given} coupons and 7 people are as the seed draws them.\n"


def test_a_draw_that_has_not_ended_has_no_seed_to_verify(
    shell: Shell, place: tuple[UUID, UUID]
) -> None:
    pool, book = place
    given = ("--mode", "random", "--count", "3")
    sent = shell.run("distribute", "--pool", str(pool), "--book", str(book), *given)

    done = shell.run("draw", "verify", sent.output.strip())

    assert done.exit_code == 1
    assert "The seed is told when the job has ended; it is queued." in done.output
