"""Why a token is or is not taken, told exactly to whoever manages its partner (EC-104, EC-105, SEC-06)."""

from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.partnering import SITE, Partner, make_partner, present, sign
from tests.seeding import Seeded
from tests.web.conftest import Caller, signed_in

BODY = {"name": "Corner shop", "time_zone": "Europe/Vienna", "origins": [SITE]}


@pytest.fixture
def partner(house: House, seeded: Seeded) -> Partner:
    return make_partner(house, seeded)


def check(caller: Caller, partner: Partner, token: str) -> dict[str, Any]:
    answer = caller.post(f"/vendors/{partner.id}/check-token", {"token": token})
    assert answer.status_code == 200, answer.text
    return dict(answer.json)


REASONS = {
    "iss": ({"iss": "somebody"}, "partner"),
    "aud": ({"aud": "other"}, "audience"),
    "lifetime": ({"exp": 10**10}, "lifetime"),
    "expired": ({"iat": 1, "exp": 100}, "expired"),
    "future": ({"nbf": 2 * 10**9}, "not_yet_valid"),
    "jti": ({"jti": "short"}, "jti"),
    "sub": ({"sub": ""}, "subject"),
    "missing": ({"jti": None}, "missing"),
    "times": ({"exp": "soon"}, "times"),
}


@pytest.mark.parametrize(("members", "fault"), REASONS.values(), ids=REASONS.keys())
def test_the_console_says_exactly_why_a_token_fails(
    partner: Partner, client_admin: Caller, members: dict[str, Any], fault: str
) -> None:
    token = (
        sign(partner.claims() | members, partner.secret)
        if "exp" in members
        else (partner.token(**members))
    )

    told = check(client_admin, partner, token)

    assert (told["ok"], told["fault"]) == (False, fault)
    assert told["detail"]


def test_the_console_knows_a_wrong_secret_a_strange_text_and_a_good_token(
    app: Flask, partner: Partner, client_admin: Caller
) -> None:
    wrong = sign(partner.claims(), "a" * 43 + "=")
    good = partner.token("Ann")

    assert check(client_admin, partner, wrong)["fault"] == "signature"
    assert check(client_admin, partner, "hello")["fault"] == "not_a_jwt"
    told = check(client_admin, partner, f"  {good} ")
    assert (told["ok"], told["external_id"]) == (True, "Ann")
    # It was not spent by that; once it is, that is said.
    assert present(app, good).status_code == 201
    assert check(client_admin, partner, good)["fault"] == "replayed"


@pytest.mark.parametrize("role", [Role.PLATFORM_ADMIN, Role.AGENCY_ADMIN])
def test_whoever_stands_above_the_client_is_told_of_a_good_token_too(
    app: Flask, house: House, seeded: Seeded, partner: Partner, role: Role
) -> None:
    assert check(signed_in(app, house, role, seeded), partner, partner.token())["ok"] is True


def test_the_console_says_that_there_is_no_secret_or_that_the_partner_is_disabled(
    house: House, partner: Partner, client_admin: Caller
) -> None:
    made = client_admin.post("/vendors", BODY).json
    bare = Partner(UUID(made["id"]), partner.secret, house)

    assert check(client_admin, bare, bare.token())["fault"] == "no_secret"
    client_admin.call("PATCH", f"/vendors/{partner.id}", {"state": "disabled"})
    assert check(client_admin, partner, partner.token())["fault"] == "disabled"
