"""Wrong passwords let an address rest, at both doors, whoever it is; nobody is thrown out by it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.access.authenticate import (
    AccountRests,
    InvalidCredentials,
    account_of,
    authenticate,
    forget_failures,
    let_try_again,
)
from pipelines.access.lockout import FAILURES_MAX
from pipelines.wiring import House
from tests.conftest import Database, Ground, a_house
from tests.driving import rows
from tests.web.conftest import PASSWORD, Caller, make_user
from tests.web.console.conftest import SAME_ORIGIN

ANN = "ann@example.com"


@pytest.fixture
def house(ground: Ground, database: Database) -> Iterator[House]:
    """The tries of a minute are another rule's."""
    with a_house(ground, database, LARGESSE_RATE_LIMITS="login=100/minute") as built:
        yield built


def sign_in(browser: FlaskClient, password: str = PASSWORD, email: str = ANN):
    return browser.post("/api/v1/auth/login", json={"email": email, "password": password})


def tried(house: House, email: str, times: int) -> list[str]:
    """How many wrong passwords in a row end."""
    ends = []
    for _time in range(times):
        try:
            authenticate(house.sessions, house.settings.keyring, email, "wrong", code=None)
        except (InvalidCredentials, AccountRests) as refusal:
            ends.append(refusal.code)
    return ends


def test_the_eleventh_try_is_refused_even_with_the_right_password(
    house: House, browser: FlaskClient
):
    """SEC-03, S1-098."""
    user_id = make_user(house, ANN, Role.PLATFORM_ADMIN)

    wrong = [sign_in(browser, "wrong").status_code for _ in range(FAILURES_MAX)]
    right = sign_in(browser)

    assert wrong == [401] * FAILURES_MAX
    assert (right.status_code, right.json["code"]) == (429, "login_locked")
    assert 0 < int(right.headers["Retry-After"]) <= 901
    (told,) = rows(house, "SELECT * FROM audit_entries WHERE action = 'sign_in.locked'")
    assert (told.object_id, told.detail) == (user_id, {"failures": FAILURES_MAX})


def test_an_address_that_nobody_has_rests_just_the_same(house: House, browser: FlaskClient):
    make_user(house, ANN, Role.PLATFORM_ADMIN)
    nobody = "nobody@example.com"

    answers = {}
    for email in (ANN, nobody):
        tried(house, email, FAILURES_MAX)
        answers[email] = sign_in(browser, email=email)

    bodies = [{**answer.json, "request_id": ""} for answer in answers.values()]
    assert bodies[0] == bodies[1]
    assert {answer.status_code for answer in answers.values()} == {429}
    kept = rows(house, "SELECT account FROM sign_in_failures")
    assert {len(row.account) for row in kept} == {32}


def test_many_tries_at_once_are_no_more_than_as_many_in_a_row(house: House):
    make_user(house, ANN, Role.PLATFORM_ADMIN)
    tried(house, ANN, FAILURES_MAX - 1)

    with ThreadPoolExecutor(4) as pool:
        ends = list(pool.map(lambda _n: tried(house, ANN, 1)[0], range(8)))

    assert sorted(ends) == ["invalid_credentials"] + ["login_locked"] * 7


def test_a_right_password_forgives_the_wrong_ones(house: House, browser: FlaskClient):
    make_user(house, ANN, Role.PLATFORM_ADMIN)

    tried(house, ANN, FAILURES_MAX - 1)
    right = sign_in(browser)
    tried(house, ANN, FAILURES_MAX - 1)

    assert right.status_code == 200
    assert sign_in(browser).status_code == 200
    assert rows(house, "SELECT 1 FROM sign_in_failures") == []


def test_who_is_signed_in_stays_so(house: House, browser: FlaskClient):
    """Locking somebody out must not throw them out."""
    make_user(house, ANN, Role.PLATFORM_ADMIN)
    tokens = sign_in(browser).json

    tried(house, ANN, FAILURES_MAX + 5)

    me = Caller(browser, {"Authorization": f"Bearer {tokens['access_token']}"}).get("/auth/me")
    body = {"refresh_token": tokens["refresh_token"]}
    assert me.status_code == 200
    assert browser.post("/api/v1/auth/refresh", json=body).status_code == 200


def test_the_console_says_so_too(house: House, browser: FlaskClient):
    make_user(house, ANN, Role.PLATFORM_ADMIN)
    tried(house, ANN, FAILURES_MAX)

    answer = browser.post(
        "/console/sign-in", data={"email": ANN, "password": PASSWORD}, headers=SAME_ORIGIN
    )

    assert answer.status_code == 429
    assert "Too many wrong passwords for this address" in answer.text
    assert int(answer.headers["Retry-After"]) > 0


def test_what_is_long_past_is_forgotten(house: House):
    tried(house, "old@example.com", 3)
    tried(house, "young@example.com", 3)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(
            text(
                "UPDATE sign_in_failures SET tried_at = now() - interval '31 days' "
                "WHERE account = :old"
            ),
            {"old": account_of("Old@example.com")},
        )
        now = session.execute(text("SELECT now()")).scalar_one()

        assert forget_failures(session, now) == 1
        let_try_again(session, "Young@Example.com")

    assert rows(house, "SELECT 1 FROM sign_in_failures") == []
