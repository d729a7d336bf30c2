"""A second factor: set up, asked for, each code once, recovered, reset (S1-099, SEC-04)."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient

from models.people import Role
from pipelines.access.lockout import FAILURES_MAX
from pipelines.wiring import House
from tests.driving import rows
from tests.seeding import Seeded
from tests.web.conftest import PASSWORD, Caller, make_user, signed_in
from tests.web.factors import code_of, enrol
from web.app import create_app

EMAIL = "platform_admin.None@x.example"


def login(browser: FlaskClient, totp: str | None = None, email: str = EMAIL):
    body = {"email": email, "password": PASSWORD, "totp": totp}
    return browser.post("/api/v1/auth/login", json=body)


def test_once_set_up_signing_in_needs_a_code(house: House, admin: Caller, browser: FlaskClient):
    secret, _codes = enrol(house, admin)

    without = login(browser)
    wrong = login(browser, "000000")
    right = login(browser, code_of(house, secret))

    assert (without.status_code, without.json["code"]) == (401, "totp_required")
    assert (wrong.status_code, wrong.json["code"]) == (401, "invalid_totp")
    assert right.status_code == 200
    assert admin.get("/auth/me").json["second_factor"] is True


def test_a_code_works_once(house: House, admin: Caller, browser: FlaskClient):
    secret, _codes = enrol(house, admin)
    code = code_of(house, secret)

    answers = [login(browser, code), login(browser, code)]

    assert [answer.status_code for answer in answers] == [200, 401]
    assert answers[1].json["code"] == "invalid_totp"


def test_of_many_with_one_code_at_once_one_comes_in(app: Flask, house: House, admin: Caller):
    secret, _codes = enrol(house, admin)
    code = code_of(house, secret)

    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: login(app.test_client(), code).status_code, range(5)))

    assert sorted(answers) == [200, 401, 401, 401, 401]


def test_a_recovery_code_works_once_however_it_is_typed(
    house: House, admin: Caller, browser: FlaskClient
):
    _secret, codes = enrol(house, admin)

    answers = [login(browser, codes[0].upper().replace("-", " ")), login(browser, codes[0])]

    assert [answer.status_code for answer in answers] == [200, 401]
    assert login(browser, codes[1]).status_code == 200
    used = "SELECT detail FROM audit_entries WHERE action = 'second_factor.recovery_code_used'"
    assert [row.detail for row in rows(house, used)] == [{"left": 9}, {"left": 8}]


def test_wrong_codes_count_as_wrong_passwords_do(house: House, admin: Caller, browser: FlaskClient):
    secret, _codes = enrol(house, admin)
    rows(
        house,
        "INSERT INTO sign_in_failures (account, failures)"
        " SELECT sha256(convert_to(email_normalised, 'UTF8')), :before FROM users RETURNING 1",
        before=FAILURES_MAX - 1,
    )

    tenth = login(browser, "000000")
    eleventh = login(browser, code_of(house, secret))

    assert (tenth.status_code, tenth.json["code"]) == (401, "invalid_totp")
    assert (eleventh.status_code, eleventh.json["code"]) == (429, "login_locked")


def test_a_new_one_counts_only_once_its_code_was_typed(
    house: House, admin: Caller, browser: FlaskClient
):
    secret, _codes = enrol(house, admin)
    second = admin.post("/auth/totp/enrol").json["secret"]

    assert login(browser, code_of(house, second)).status_code == 401
    assert login(browser, code_of(house, secret)).status_code == 200

    assert admin.post("/auth/totp/verify", {"totp": "000000"}).json["code"] == "wrong_code"
    taken = admin.post("/auth/totp/verify", {"totp": code_of(house, second)})
    assert (taken.status_code, len(taken.json["recovery_codes"])) == (200, 10)
    assert login(browser, code_of(house, secret, steps=1)).status_code == 401
    assert login(browser, code_of(house, second, steps=1)).status_code == 200


def test_setting_one_up_signs_out_everywhere_else(
    house: House, admin: Caller, browser: FlaskClient
):
    elsewhere = login(browser).json["access_token"]

    enrol(house, admin)

    other = Caller(browser, {"Authorization": f"Bearer {elsewhere}"})
    assert other.get("/auth/me").status_code == 401
    assert admin.get("/auth/me").status_code == 200


def test_nothing_of_the_secret_or_the_codes_is_kept_plain(house: House, admin: Caller):
    secret, codes = enrol(house, admin)
    kept = rows(house, "SELECT a::text AS a, r::text AS r FROM authenticators a, recovery_codes r")

    text = " ".join(f"{row.a} {row.r}" for row in kept)

    assert len(kept) == 10
    assert secret not in text
    assert not any(code in text or code.replace("-", "") in text for code in codes)


@pytest.fixture
def strict(house: House) -> Flask:
    """A front as production has it: administrators need a second factor."""
    settings = replace(house.settings, requires_second_factor=True)
    return create_app(replace(house, settings=settings))


def test_an_administrator_without_one_reaches_only_the_enrolment(
    strict: Flask, house: House, seeded: Seeded
):
    """SEC-04"""
    for role in (Role.PLATFORM_ADMIN, Role.PLATFORM_SUPPORT, Role.AGENCY_ADMIN, Role.CLIENT_ADMIN):
        caller = signed_in(strict, house, role, seeded)

        refused = caller.get("/jobs")
        assert (refused.status_code, refused.json["code"]) == (403, "second_factor_missing")
        assert caller.get("/auth/me").status_code == 200

        enrol(house, caller)
        assert caller.get("/jobs").status_code == 200


def test_not_even_a_card_opens_without_one(strict: Flask, house: House, seeded: Seeded):
    """The reveal is public for links, and asks for the rest by itself."""
    boss = signed_in(strict, house, Role.CLIENT_ADMIN, seeded)

    refused = boss.post(f"/gift-cards/{seeded.brand_id}/reveal", {"token": None})

    assert (refused.status_code, refused.json["code"]) == (403, "second_factor_missing")


def test_a_look_at_who_has_none_yet_is_a_look(strict: Flask, house: House, seeded: Seeded):
    """SEC-30: the looker has shown their own."""
    support = signed_in(strict, house, Role.PLATFORM_SUPPORT)
    enrol(house, support)
    boss = signed_in(strict, house, Role.CLIENT_ADMIN, seeded)
    person = boss.get("/auth/me").json["id"]

    token = support.post(f"/users/{person}/impersonate", {"reason": "r", "ticket": "t"}).json
    look = Caller(strict.test_client(), {"Authorization": f"Bearer {token['access_token']}"})

    assert look.get("/jobs").status_code == 200


def test_others_and_keys_do_without(strict: Flask, house: House, seeded: Seeded):
    manager = signed_in(strict, house, Role.CAMPAIGN_MANAGER, seeded)

    assert manager.get("/jobs").status_code == 200


def test_a_lost_one_is_reset_by_those_above_and_by_nobody_else(
    app: Flask, house: House, client_admin: Caller, seeded: Seeded
):
    manager = signed_in(app, house, Role.CAMPAIGN_MANAGER, seeded)
    enrol(house, manager)
    identity = manager.get("/auth/me").json["id"]
    boss = client_admin.get("/auth/me").json["id"]

    assert manager.post(f"/users/{boss}/reset-second-factor").status_code == 403
    assert client_admin.post(f"/users/{boss}/reset-second-factor").status_code == 403
    assert client_admin.post(f"/users/{identity}/reset-second-factor").status_code == 204

    assert manager.get("/auth/me").status_code == 401
    email = f"campaign_manager.{seeded.client_id}@x.example"
    assert login(app.test_client(), email=email).status_code == 200
    actions = [row.action for row in rows(house, "SELECT action FROM audit_entries ORDER BY id")]
    assert "user.second_factor_reset" in actions


def test_it_is_removed_by_its_owner_after_a_fresh_proof(
    house: House, admin: Caller, browser: FlaskClient
):
    secret, _codes = enrol(house, admin)
    rows(house, "UPDATE sign_ins SET proven_at = now() - interval '6 minutes' RETURNING 1")

    assert admin.call("DELETE", "/auth/totp").json["code"] == "step_up_required"
    assert admin.post("/auth/step-up", {"totp": code_of(house, secret)}).status_code == 200
    assert admin.call("DELETE", "/auth/totp").status_code == 204

    assert login(browser).status_code == 200
    assert rows(house, "SELECT 1 FROM recovery_codes") == []


def test_an_enrolment_left_alone_comes_to_nothing(house: House, admin: Caller):
    secret = admin.post("/auth/totp/enrol").json["secret"]
    rows(house, "UPDATE authenticators SET pending_until = now() RETURNING 1")

    late = admin.post("/auth/totp/verify", {"totp": code_of(house, secret)})

    assert (late.status_code, late.json["code"]) == (409, "nothing_to_verify")


def test_a_disabled_person_with_a_good_code_stays_out(
    house: House, admin: Caller, browser: FlaskClient
):
    make_user(house, "off@example.com", Role.PLATFORM_ADMIN)
    rows(house, "UPDATE users SET disabled_at = now() WHERE email = 'off@example.com' RETURNING 1")

    assert login(browser, email="off@example.com").json["code"] == "invalid_credentials"
