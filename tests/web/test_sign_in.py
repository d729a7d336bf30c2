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
