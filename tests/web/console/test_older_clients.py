"""A client that is too old for a form's list is named by its id, in every form that asks for one."""

from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import insert

from models.base import new_id
from models.database import scoped_transaction
from models.people import Role
from models.scope import PLATFORM
from models.tenants import Client
from pipelines.wiring import House
from tests.driving import rows
from tests.seeding import Seeded
from tests.web.conftest import PASSWORD
from tests.web.console.conftest import Visitor, visitor_of
from web.console import person_form

KEY = {"name": "Shop", "scopes": ["jobs:read"], "networks": "", "days": "30", "client_id": ""}
HOOK = {"url": "https://hooks.example.com/x", "description": "", "client_id": ""}
PERSON = {"name": "Ada", "role": "campaign_manager", "client_id": ""}
FORMS = {
    "/console/api-keys/new": KEY,
    "/console/webhooks/new": HOOK,
    "/console/people/new": PERSON | {"email": "ada@example.org", "password": PASSWORD},
    "/console/invitations/new": PERSON | {"email": "bea@example.org"},
}
MADE = {
    "/console/api-keys/new": "api_keys",
    "/console/webhooks/new": "webhook_endpoints",
    "/console/people/new": "users WHERE email = 'ada@example.org'",
    "/console/invitations/new": "invitations",
}


@pytest.fixture
def boss(app: Flask, house: House, seeded: Seeded, monkeypatch: pytest.MonkeyPatch) -> Visitor:
    """An agency's administrator; of its two clients the forms list the newer."""
    monkeypatch.setattr(person_form, "CHOICES_MAX", 1)
    newer = {"id": new_id(), "agency_id": seeded.agency_id, "name": "Newer"}
    with scoped_transaction(house.sessions, PLATFORM) as session:
        session.execute(insert(Client).values(newer | {"client_id": newer["id"]}))
    return visitor_of(app, house, Role.AGENCY_ADMIN, seeded)


@pytest.mark.parametrize("path", FORMS)
def test_a_client_that_is_not_listed_is_named_by_its_id(
    house: House, boss: Visitor, seeded: Seeded, path: str
) -> None:
    other, form = str(seeded.client_id), FORMS[path]

    shown = boss.get(path).text
    wrong = [boss.send(path, **form, other_client_id=text) for text in ("nobody", str(uuid4()))]
    before = rows(house, f"SELECT client_id FROM {MADE[path]}")
    made = boss.send(path, **form, other_client_id=other)

    assert "The newest 1 clients are listed above" in shown
    assert other not in shown
    assert [answer.status_code for answer in wrong] == [422, 422]
    for answer in wrong:
        assert 'id="other_client_id-wrong"' in answer.text
    assert before == []
    assert made.status_code in (200, 303)
    assert rows(house, f"SELECT client_id FROM {MADE[path]}") == [(seeded.client_id,)]


@pytest.mark.parametrize("path", FORMS)
def test_a_choice_that_is_no_client_makes_nothing(house: House, boss: Visitor, path: str) -> None:
    """A webhook for nobody in particular is told of everything that its maker sees."""
    answer = boss.send(path, **FORMS[path] | {"client_id": "nobody"})

    assert answer.status_code == 422
    assert 'id="client_id-wrong"' in answer.text
    assert rows(house, f"SELECT 1 FROM {MADE[path]}") == []
