"""A forgotten password is replaced by a mailed link (S1-097, S1-109, S3-109, SEC-02, SEC-03)."""

from collections.abc import Iterator

import pytest
from flask import Flask

from models.people import Role
from pipelines.access.authenticate import AccountRests, InvalidCredentials, check_password
from pipelines.access.lockout import FAILURES_MAX
from pipelines.wiring import House
from tests.canary import MARK
from tests.conftest import Database, Ground
from tests.driving import drain, rows
from tests.posting import a_mail_house, link_to, subjects
from tests.statements import statements
from tests.vendor import Sandbox
from tests.web.conftest import PASSWORD, Caller, make_user
from tests.web.factors import code_of, enrol

ANN = "ann@example.com"
NEW = f"battery staple {MARK}"


@pytest.fixture
def house(ground: Ground, database: Database, sandbox: Sandbox) -> Iterator[House]:
    with a_mail_house(ground, database, sandbox) as built:
        yield built


@pytest.fixture
def ann(house: House):
    return make_user(house, ANN, Role.PLATFORM_ADMIN)


@pytest.fixture
def anybody(app: Flask) -> Caller:
    return Caller(app.test_client())


def login(anybody: Caller, password: str):
    return anybody.post("/auth/login", {"email": ANN, "password": password})


def asked(anybody: Caller, email: str = ANN):
    return anybody.post("/auth/password-reset", {"email": email})


def confirmed(anybody: Caller, token: str, password: str = NEW):
    body = {"token": token, "new_password": password}
    return anybody.post("/auth/password-reset/confirm", body)


def test_the_link_in_the_mail_changes_the_password_once(
    ann, anybody: Caller, house: House, sandbox: Sandbox
):
    before = login(anybody, PASSWORD).json

    assert asked(anybody).status_code == 202
    _path, token = link_to(house, sandbox, ANN)
    first, again = confirmed(anybody, token), confirmed(anybody, token)

    assert first.status_code == 204
    assert (again.status_code, again.json["code"]) == (422, "invalid_reset_token")
    assert login(anybody, PASSWORD).status_code == 401
    assert login(anybody, NEW).status_code == 200
    refreshed = anybody.post("/auth/refresh", {"refresh_token": before["refresh_token"]})
    assert refreshed.status_code == 401
    assert subjects(house, sandbox, ANN)[0] == "Your Largesse password was changed"
    (entry,) = rows(house, "SELECT * FROM audit_entries WHERE action = 'user.password_reset'")
    assert (entry.object_id, entry.actor_id, entry.detail) == (ann, ann, {})


def test_ec029_an_address_that_nobody_has_gets_the_same_answer_and_the_same_work(
    ann, anybody: Caller, house: House, sandbox: Sandbox
):
    with statements(house) as for_ann:
        known = asked(anybody)
    with statements(house) as for_nobody:
        unknown = asked(anybody, "nobody@example.com")

    assert (known.status_code, known.json) == (unknown.status_code, unknown.json)
    assert for_ann == for_nobody
    assert len(for_ann) > 5
    drain(house)
    assert len(sandbox.mails()) == 1
    assert sandbox.mails("nobody@example.com") == []


def test_who_is_disabled_gets_no_mail_and_uses_no_link(
    ann, anybody: Caller, house: House, sandbox: Sandbox
):
    asked(anybody)
    _path, token = link_to(house, sandbox, ANN)
    rows(house, "UPDATE users SET disabled_at = now() RETURNING 1")

    assert asked(anybody).status_code == 202
    assert confirmed(anybody, token).json["code"] == "invalid_reset_token"
    assert len(subjects(house, sandbox, ANN)) == 1


def test_the_newest_link_ends_the_older(ann, anybody: Caller, house: House, sandbox: Sandbox):
    asked(anybody)
    _path, older = link_to(house, sandbox, ANN)
    asked(anybody)
    _path, newer = link_to(house, sandbox, ANN)

    assert confirmed(anybody, older).status_code == 422
    assert confirmed(anybody, newer).status_code == 204


def test_a_link_lives_an_hour(ann, anybody: Caller, house: House, sandbox: Sandbox):
    asked(anybody)
    _path, token = link_to(house, sandbox, ANN)
    (lives,) = rows(house, "SELECT expires_at - created_at AS seconds FROM password_resets")
    rows(house, "UPDATE password_resets SET expires_at = now() RETURNING 1")

    assert round(lives.seconds.total_seconds()) == 3600
    assert confirmed(anybody, token).json["code"] == "invalid_reset_token"
    assert login(anybody, PASSWORD).status_code == 200


def test_a_password_that_will_not_do_leaves_the_link_good(
    ann, anybody: Caller, house: House, sandbox: Sandbox
):
    asked(anybody)
    _path, token = link_to(house, sandbox, ANN)

    short = confirmed(anybody, token, "short")

    assert (short.status_code, short.json["errors"][0]["pointer"]) == (422, "/new_password")
    assert confirmed(anybody, token).status_code == 204


@pytest.mark.parametrize("token", ["", "x", "é" * 43, "a" * 256])
def test_what_is_no_token_gets_the_one_answer(anybody: Caller, token: str):
    answer = confirmed(anybody, token)

    assert (answer.status_code, answer.json["code"]) == (422, "invalid_reset_token")


def test_a_reset_lets_an_address_that_rests_in_and_its_owner_was_told_once(
    ann, anybody: Caller, app: Flask, house: House, sandbox: Sandbox
):
    """SEC-03: the victim is told; unlocked by a reset."""
    for _ in range(FAILURES_MAX):
        with pytest.raises(InvalidCredentials):
            check_password(house.sessions, ANN, "wrong")
    for _ in range(3):
        with pytest.raises(AccountRests):
            check_password(house.sessions, ANN, PASSWORD)
    told = subjects(house, sandbox, ANN)
    asked(anybody)
    _path, token = link_to(house, sandbox, ANN)

    assert told == ["Somebody tried wrong passwords for your Largesse account"]
    assert confirmed(anybody, token).status_code == 204
    assert check_password(house.sessions, ANN, NEW).user_id == ann


def test_at_most_three_mails_an_hour_for_an_address_whether_or_not_anybody_has_it(
    ann, anybody: Caller, house: House, sandbox: Sandbox
):
    known = [asked(anybody).status_code for _ in range(4)]
    unknown = [asked(anybody, "nobody@example.com").status_code for _ in range(4)]

    assert known == unknown == [202, 202, 202, 429]
    assert len(subjects(house, sandbox, ANN)) == 3


def test_a_password_that_was_changed_ends_the_links_and_is_told(
    ann, anybody: Caller, house: House, sandbox: Sandbox
):
    asked(anybody)
    _path, token = link_to(house, sandbox, ANN)
    bearer = {"Authorization": f"Bearer {login(anybody, PASSWORD).json['access_token']}"}

    changed = anybody.post(
        "/auth/password", {"current_password": PASSWORD, "new_password": NEW}, **bearer
    )

    assert changed.status_code == 204
    assert confirmed(anybody, token, f"another {NEW}").status_code == 422
    assert "Your Largesse password was changed" in subjects(house, sandbox, ANN)


def test_a_reset_does_not_go_around_the_second_factor(
    ann, anybody: Caller, app: Flask, house: House, sandbox: Sandbox
):
    bearer = {"Authorization": f"Bearer {login(anybody, PASSWORD).json['access_token']}"}
    secret, _codes = enrol(house, Caller(app.test_client(), bearer))
    asked(anybody)
    _path, token = link_to(house, sandbox, ANN)

    assert confirmed(anybody, token).status_code == 204
    without = login(anybody, NEW)
    body = {"email": ANN, "password": NEW, "totp": code_of(house, secret)}
    assert without.status_code == 401
    assert anybody.post("/auth/login", body).status_code == 200


def test_only_the_hash_of_a_token_is_kept(ann, anybody: Caller, house: House):
    asked(anybody)

    (kept,) = rows(house, "SELECT length(token_hash) AS size FROM password_resets")
    assert kept.size == 32
