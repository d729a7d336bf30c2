"""Refresh tokens are spent by their use, and a copy ends the sign-in (S1-101, S1-102, SEC-01)."""

from concurrent.futures import ThreadPoolExecutor

from flask import Flask
from flask.testing import FlaskClient

from models.people import Role
from pipelines.wiring import House
from tests.driving import rows
from tests.web.conftest import Caller, make_user
from tests.web.test_sign_in import sign_in

AGO = "UPDATE sign_ins SET rotated_at = rotated_at - interval '11 seconds' RETURNING 1"


def refreshed(browser: FlaskClient, token: str):
    return browser.post("/api/v1/auth/refresh", json={"refresh_token": token})


def is_signed_in(browser: FlaskClient, access_token: str) -> bool:
    caller = Caller(browser, {"Authorization": f"Bearer {access_token}"})
    return caller.get("/auth/me").status_code == 200


def test_each_use_gives_a_new_token_and_keeps_the_sign_in(house: House, browser: FlaskClient):
    make_user(house, "ann@example.com", Role.PLATFORM_ADMIN)
    tokens = [sign_in(browser, "ann@example.com").json["refresh_token"]]

    for _ in range(3):
        answer = refreshed(browser, tokens[-1])
        assert answer.status_code == 200
        tokens.append(answer.json["refresh_token"])

    assert len(set(tokens)) == 4
    assert is_signed_in(browser, answer.json["access_token"])
    assert len(rows(house, "SELECT 1 FROM sign_ins")) == 1


def test_a_repeat_whose_answer_was_lost_gets_the_same_token(house: House, browser: FlaskClient):
    make_user(house, "ann@example.com", Role.PLATFORM_ADMIN)
    first = sign_in(browser, "ann@example.com").json["refresh_token"]

    once, again = refreshed(browser, first), refreshed(browser, first)

    assert (once.status_code, again.status_code) == (200, 200)
    assert once.json["refresh_token"] == again.json["refresh_token"]
    assert refreshed(browser, again.json["refresh_token"]).status_code == 200


def test_a_token_used_again_later_ends_the_sign_in_for_both_who_hold_it(
    house: House, browser: FlaskClient
):
    make_user(house, "ann@example.com", Role.PLATFORM_ADMIN)
    stolen = sign_in(browser, "ann@example.com").json["refresh_token"]
    owners = refreshed(browser, stolen).json
    rows(house, AGO)

    thief = refreshed(browser, stolen)

    assert (thief.status_code, thief.json["code"]) == (401, "invalid_token")
    assert not is_signed_in(browser, owners["access_token"])
    assert refreshed(browser, owners["refresh_token"]).status_code == 401
    (entry,) = rows(house, "SELECT * FROM audit_entries WHERE action = 'sign_in.token_reused'")
    assert entry.object_kind == "user"


def test_two_quick_uses_do_not_hide_a_copy(house: House, browser: FlaskClient):
    """The hole of a plain grace: a token two generations old was never asked about."""
    make_user(house, "ann@example.com", Role.PLATFORM_ADMIN)
    stolen = sign_in(browser, "ann@example.com").json["refresh_token"]
    second = refreshed(browser, stolen).json["refresh_token"]
    third = refreshed(browser, second).json

    assert refreshed(browser, stolen).status_code == 401
    assert not is_signed_in(browser, third["access_token"])


def test_of_many_at_once_all_get_one_successor(app: Flask, house: House, browser: FlaskClient):
    make_user(house, "ann@example.com", Role.PLATFORM_ADMIN)
    token = sign_in(browser, "ann@example.com").json["refresh_token"]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: refreshed(app.test_client(), token), range(8)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json["refresh_token"] for answer in answers}) == 1
    (kept,) = rows(house, "SELECT generation FROM sign_ins")
    assert kept.generation == 1


def test_a_chain_of_refreshes_ends_after_ninety_days(house: House, browser: FlaskClient):
    make_user(house, "ann@example.com", Role.PLATFORM_ADMIN)
    token = sign_in(browser, "ann@example.com").json["refresh_token"]
    rows(house, "UPDATE sign_ins SET created_at = now() - interval '89 days' RETURNING 1")

    assert refreshed(browser, token).status_code == 200

    (kept,) = rows(house, "SELECT expires_at < now() + interval '25 hours' AS soon FROM sign_ins")
    assert kept.soon


def test_nothing_kept_of_a_refresh_token_is_a_token(house: House, browser: FlaskClient):
    make_user(house, "ann@example.com", Role.PLATFORM_ADMIN)
    sign_in(browser, "ann@example.com")

    (kept,) = rows(house, "SELECT token_hash FROM sign_ins")

    assert kept.token_hash is None


def test_whose_account_is_disabled_stays_out_though_a_sign_in_was_left_open(
    house: House, browser: FlaskClient
):
    """Disabling ends every sign-in; one that began beside it is of no use either."""
    make_user(house, "ann@example.com", Role.PLATFORM_ADMIN)
    signed_in = sign_in(browser, "ann@example.com").json
    rows(house, "UPDATE users SET disabled_at = now() RETURNING 1")

    assert refreshed(browser, signed_in["refresh_token"]).status_code == 401
    assert not is_signed_in(browser, signed_in["access_token"])
