"""`largesse user`: the first administrator, and who cannot get in (SEC-02, SEC-03, console.md 1)."""

import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ops.__main__ import main
from ops.home import Home
from ops.stack_record import StackRecord, forget
from pipelines.access.authenticate import AccountRests, InvalidCredentials, check_password
from pipelines.access.lockout import FAILURES_MAX
from pipelines.access.password_resets import InvalidResetToken, reset_password
from pipelines.wiring import House
from tests.canary import MARK
from tests.conftest import Database, Ground
from tests.driving import rows

ANN = "ann@example.com"
PASSWORD = f"correct horse {MARK}"
PUBLIC = "https://gifts.example.com"


@pytest.fixture(params=["DATABASE_WORKER_URL", "DATABASE_SYSTEM_URL"])
def environment(request: pytest.FixtureRequest, database: Database) -> dict[str, str]:
    login = {"DATABASE_WORKER_URL": "largesse_worker", "DATABASE_SYSTEM_URL": "largesse_system"}
    return {request.param: database.urls[login[request.param]], "PUBLIC_URL": PUBLIC}


def run(environment: dict[str, str], *arguments: str, stdin: str | None = None) -> Result:
    nothing: dict[str, Any] = {"DATABASE_WORKER_URL": None, "DATABASE_SYSTEM_URL": None}
    return CliRunner().invoke(main, ["user", *arguments], input=stdin, env=nothing | environment)


def made(environment: dict[str, str], *more: str, stdin: str | None = None) -> Result:
    arguments = ("create", "--role", "platform_admin", "--email", ANN, *more)
    return run(environment, *arguments, stdin=stdin)


def test_the_first_administrator_chooses_a_password_by_the_printed_link(
    environment: dict[str, str], house: House
):
    done = made(environment, "--name", "Ann")
    link = done.stdout.strip()
    reset_password(house.sessions, link.removeprefix(f"{PUBLIC}/console/reset/"), PASSWORD)

    assert done.exit_code == 0
    (ann,) = rows(house, "SELECT * FROM users")
    assert (ann.email, ann.name, ann.role) == (ANN, "Ann", "platform_admin")
    assert check_password(house.sessions, ANN, PASSWORD).user_id == ann.id
    (entry,) = rows(house, "SELECT * FROM audit_entries WHERE action = 'user.created'")
    assert (entry.object_id, entry.actor_id) == (ann.id, None)


def test_a_password_from_standard_input_is_good_at_once(environment: dict[str, str], house: House):
    done = made(environment, "--password-stdin", stdin=f"{PASSWORD}\n")

    assert (done.exit_code, done.stdout) == (0, "")
    (ann,) = rows(house, "SELECT id FROM users")
    assert check_password(house.sessions, ANN, PASSWORD).user_id == ann.id


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--email", "ann"), "not a deliverable e-mail address"),
        (("--role", "client_admin"), "needs its agency"),
        (("--password-stdin",), "at least 15 characters"),
    ],
)
def test_what_will_not_do_is_said_and_nobody_is_made(
    database: Database, house: House, arguments: tuple[str, ...], words: str
):
    environment = {"DATABASE_WORKER_URL": database.urls["largesse_worker"]}

    refused = made(environment, *arguments, stdin="short\n")

    assert refused.exit_code == 2
    assert words in refused.stderr
    assert rows(house, "SELECT 1 FROM users") == []


def test_an_address_is_taken_once(environment: dict[str, str], house: House):
    made(environment)

    again = made(environment)

    assert again.exit_code == 2
    assert "already" in again.stderr
    assert len(rows(house, "SELECT 1 FROM users")) == 1


def test_an_address_that_rests_is_unlocked(environment: dict[str, str], house: House):
    made(environment, "--password-stdin", stdin=PASSWORD)
    for _ in range(FAILURES_MAX):
        with pytest.raises(InvalidCredentials):
            check_password(house.sessions, ANN, "wrong")
    with pytest.raises(AccountRests):
        check_password(house.sessions, ANN, PASSWORD)

    done = run(environment, "unlock", "--email", "Ann@Example.com")
    unknown = run(environment, "unlock", "--email", "nobody@example.com")

    assert (done.exit_code, unknown.exit_code) == (0, 2)
    assert check_password(house.sessions, ANN, PASSWORD)
    assert "no user with this address" in unknown.stderr
    entries = rows(house, "SELECT actor_id FROM audit_entries WHERE action = 'user.tries_allowed'")
    assert [entry.actor_id for entry in entries] == [None]


def test_a_link_that_was_lost_is_printed_anew_and_ends_the_older(
    environment: dict[str, str], house: House
):
    older = made(environment).stdout.strip().removeprefix(f"{PUBLIC}/console/reset/")

    done = run(environment, "link", "--email", ANN)

    newer = done.stdout.strip().removeprefix(f"{PUBLIC}/console/reset/")
    with pytest.raises(InvalidResetToken):
        reset_password(house.sessions, older, PASSWORD)
    reset_password(house.sessions, newer, PASSWORD)
    assert check_password(house.sessions, ANN, PASSWORD)
    (entry,) = rows(house, "SELECT actor_id FROM audit_entries WHERE action = 'user.link_handed'")
    assert entry.actor_id is None


def test_whom_nobody_is_above_is_helped_from_the_server(environment: dict[str, str], house: House):
    """SEC-04: app and recovery codes are gone."""
    made(environment, "--password-stdin", stdin=PASSWORD)
    rows(
        house,
        "INSERT INTO authenticators (user_id, confirmed_at) SELECT id, now() FROM users RETURNING 1",
    )
    rows(
        house,
        "INSERT INTO sign_ins (id, user_id, kind, expires_at)"
        " SELECT id, id, 'refresh', now() + interval '1 day' FROM users RETURNING 1",
    )

    done = run(environment, "reset-second-factor", "--email", ANN)
    again = run(environment, "reset-second-factor", "--email", ANN)

    assert (done.exit_code, done.stderr, again.stderr) == (0, "It is gone.\n", "There was none.\n")
    assert not check_password(house.sessions, ANN, PASSWORD).has_second_factor
    assert rows(house, "SELECT 1 FROM sign_ins WHERE revoked_at IS NULL") == []


def test_people_are_listed(environment: dict[str, str]):
    made(environment)

    shown = run(environment, "list")

    assert shown.exit_code == 0
    assert "platform_admin" in shown.stdout


def test_the_stack_that_runs_here_is_worked_on_without_a_word_of_its_addresses(
    ground: Ground, database: Database, house: House
):
    record = StackRecord(
        pid=os.getpid(),
        environment="production",
        web_url="http://127.0.0.1:8055",
        sandbox_url=None,
        database_url=database.urls["largesse_readonly"],
        queue_url="",
    )
    home = Home(ground.home.path)
    with home.lock():
        record.write(home)
        done = made({"LARGESSE_HOME": str(home.path)})
        forget(home)

    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("http://127.0.0.1:8055/console/reset/")
    assert len(rows(house, "SELECT 1 FROM users")) == 1


def test_without_a_stack_and_an_address_the_remedy_is_said(tmp_path: Path):
    refused = made({"LARGESSE_HOME": str(tmp_path / "home")})

    assert refused.exit_code == 5
    assert "set DATABASE_WORKER_URL" in refused.stderr
