"""Signing in, exchanging tokens, signing out (SEC-02, SEC-03)."""

from flask.testing import FlaskClient

from models.people import Role
from pipelines.wiring import House
from tests.web.conftest import PASSWORD, Caller, make_user


def sign_in(browser: FlaskClient, email: str, password: str = PASSWORD):
    return browser.post("/api/v1/auth/login", json={"email": email, "password": password})


def test_a_person_signs_in_and_is_told_who_they_are(house: House, browser: FlaskClient):
    user_id = make_user(house, "Ann@Example.com", Role.PLATFORM_ADMIN)

    tokens = sign_in(browser, "ann@example.COM").get_json()
    me = Caller(browser, {"Authorization": f"Bearer {tokens['access_token']}"}).get("/auth/me")

    assert sorted(tokens) == ["access_token", "expires_in", "refresh_token", "token_type"]
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 900)
    assert me.status_code == 200
    assert me.json["id"] == str(user_id)
    assert me.json["email"] == "Ann@Example.com"
    assert me.json["role"] == "platform_admin"


def test_wrong_password_and_unknown_person_get_the_same_answer(house: House, browser: FlaskClient):
    make_user(house, "ann@example.com", Role.PLATFORM_ADMIN)

    wrong = sign_in(browser, "ann@example.com", "not the password")
    unknown = sign_in(browser, "bob@example.com", "not the password")

    assert (wrong.status_code, unknown.status_code) == (401, 401)
    assert wrong.json["code"] == "invalid_credentials"
    assert {**wrong.json, "request_id": ""} == {**unknown.json, "request_id": ""}
    assert wrong.headers["WWW-Authenticate"] == 'Bearer realm="largesse"'


def test_the_sixth_wrong_try_in_a_minute_is_refused_before_any_hash(
    house: House, browser: FlaskClient
):
    make_user(house, "ann@example.com", Role.PLATFORM_ADMIN)

    tries = [sign_in(browser, "ann@example.com", "wrong").status_code for _ in range(5)]
    sixth = sign_in(browser, "ann@example.com")

    assert tries == [401] * 5
    assert (sixth.status_code, sixth.json["code"]) == (429, "rate_limited")
    assert 0 < int(sixth.headers["Retry-After"]) <= 60
    assert sixth.headers["RateLimit-Policy"].startswith('"login";q=5;w=60, "login-ip"')


def test_a_right_password_clears_the_count_of_its_account(house: House, browser: FlaskClient):
    make_user(house, "ann@example.com", Role.PLATFORM_ADMIN)

    statuses = [sign_in(browser, "ann@example.com").status_code for _ in range(8)]

    assert statuses == [200] * 8


def test_after_logout_neither_token_is_good(house: House, browser: FlaskClient):
    make_user(house, "ann@example.com", Role.PLATFORM_ADMIN)
    tokens = sign_in(browser, "ann@example.com").json
    caller = Caller(browser, {"Authorization": f"Bearer {tokens['access_token']}"})

    left = caller.post("/auth/logout")

    assert left.status_code == 204
    assert caller.get("/auth/me").status_code == 401
    refreshed = browser.post(
        "/api/v1/auth/refresh", json={"refresh_token": tokens["refresh_token"]}
    )
    assert refreshed.status_code == 401


def test_no_bad_credential_tells_why_it_is_bad(browser: FlaskClient):
    headers = (
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer not.a.token"},
        {"Authorization": "Bearer eyJhbGciOiJub25lIn0.e30."},
        {"Authorization": "Basic YTpi"},
        {"Authorization": "Bearer lg_test_00000000_" + "x" * 43},
        {"Authorization": "Bearer " + "x" * 9000},
    )

    answers = [browser.get("/api/v1/jobs", headers=given) for given in headers]

    assert {answer.status_code for answer in answers} == {401}
    assert len({str({**answer.json, "request_id": ""}) for answer in answers}) == 1


def test_a_key_in_the_address_is_never_read(browser: FlaskClient):
    """SEC-05"""
    answer = browser.get("/api/v1/jobs?api_key=lg_test_00000000_" + "x" * 43)

    assert answer.status_code == 401
