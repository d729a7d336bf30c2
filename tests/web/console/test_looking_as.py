"""The console shows whose eyes one looks through, and lets one stop (SEC-30)."""

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.driving import rows
from tests.seeding import Seeded
from tests.web.conftest import make_user
from tests.web.console.conftest import SAME_ORIGIN, Visitor, visitor_of

WHY = {"reason": "They ask where row 7 is", "ticket": "T-7"}


@pytest.fixture
def support(app: Flask, house: House) -> Visitor:
    return visitor_of(app, house, Role.PLATFORM_SUPPORT)


@pytest.fixture
def address(house: House, seeded: Seeded) -> str:
    person = make_user(house, "carol@example.com", Role.CLIENT_ADMIN, seeded)
    return f"/console/people/{person}/look"


def test_a_look_is_shown_on_every_page_and_stopped(support: Visitor, address: str):
    begun = support.send(address, **WHY)
    assert begun.headers["Location"] == "/console/"

    for page in ("/console/", "/console/jobs", "/console/credit"):
        assert "You look as carol@example.com" in support.get(page).text
    assert support.get("/console/queues").status_code == 403

    token = support.get("/console/").text.partition('name="csrf_token" value="')[2][:64]
    stopped = support.client.post(
        "/console/look/stop", data={"csrf_token": token}, headers=SAME_ORIGIN
    )
    assert stopped.status_code == 303
    assert "You look as" not in support.get("/console/").text
    assert support.get("/console/queues").status_code == 200


def test_a_look_sends_no_forms(support: Visitor, address: str, seeded: Seeded):
    support.send(address, **WHY)
    token = support.get("/console/").text.partition('name="csrf_token" value="')[2][:64]

    refused = support.client.post(
        "/console/account/password", data={"csrf_token": token}, headers=SAME_ORIGIN
    )

    assert refused.status_code == 403
    assert support.get("/console/account").status_code == 403


def test_support_finds_the_way_from_its_menu(
    app: Flask, house: House, support: Visitor, address: str
):
    """SEC-30: who has no list of people types the address, which goes into no address line."""
    way = "/console/look"
    ada = visitor_of(app, house, Role.PLATFORM_ADMIN)

    found = support.send(way, email=" Carol@Example.com ")
    missed = support.send(way, email="nobody@example.com")
    above = support.send(way, email="platform_admin@console.example")
    support.send(address, **WHY)

    assert f'href="{way}"' in ada.get("/console/").text
    assert found.headers["Location"] == address
    assert (missed.status_code, "Nobody has this address." in missed.text) == (422, True)
    assert (above.status_code, "people of agencies and clients" in above.text) == (422, True)
    assert f'href="{way}"' not in support.get("/console/").text, "nobody looks from a look"
    assert rows(house, "SELECT 1 FROM sign_ins WHERE kind = 'impersonation'") == [(1,)]


def test_it_wants_a_reason_and_a_ticket(house: House, support: Visitor, address: str):
    refused = support.send(address, reason=" ", ticket="T-7")

    assert refused.status_code == 422
    assert "Say why" in refused.text
    assert rows(house, "SELECT 1 FROM sign_ins WHERE kind = 'impersonation'") == []


def test_signing_out_ends_the_look_too(house: House, support: Visitor, address: str):
    support.send(address, **WHY)

    support.send("/console/sign-out", "/console/")

    (look,) = rows(house, "SELECT revoked_at FROM sign_ins WHERE kind = 'impersonation'")
    assert look.revoked_at is not None
    assert support.get("/console/").status_code == 303
