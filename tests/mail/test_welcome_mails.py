"""Who has an account from now on gets one mail: where to sign in, what to do first (S1-108)."""

import re

import pytest
from flask import Flask

from models.people import Role
from pipelines.access.permissions import GRANTS
from pipelines.access.welcome import FIRST_STEPS
from pipelines.wiring import House
from tests.canary import MARK
from tests.driving import drain, rows
from tests.mail.conftest import ANN
from tests.posting import in_production, link_to, subjects
from tests.seeding import Seeded, seed
from tests.vendor import Sandbox
from tests.web.conftest import Caller, make_user, signed_in
from web.app import create_app
from web.console.frame import NAVIGATION

PASSWORD = f"correct horse {MARK}"
SUBJECT = "Your Largesse account is ready"
SIGN_IN = "http://127.0.0.1:8000/console/sign-in"
MAILS = "SELECT user_id FROM outgoing_mails WHERE template = 'welcome'"
PERSON = {"email": ANN, "password": PASSWORD, "name": "Ann"}
BY_LABEL = {entry.label: entry.needs for entry in NAVIGATION}


@pytest.fixture
def app(mail_house: House) -> Flask:
    return create_app(mail_house)


@pytest.fixture
def seeded(mail_house: House) -> Seeded:
    return seed(mail_house, vendor=False)


@pytest.fixture
def anybody(app: Flask) -> Caller:
    return Caller(app.test_client())


@pytest.fixture
def outside(mail_house: House) -> Caller:
    """Somebody before a house in production."""
    return Caller(create_app(in_production(mail_house)).test_client())


def welcomes(house: House, sandbox: Sandbox) -> list[str]:
    """The texts of the mails of welcome that Ann got."""
    drain(house)
    return [mail["text"] for mail in sandbox.mails(ANN) if mail["subject"] == SUBJECT]


def test_s1_108_who_confirms_a_registration_is_welcomed_once(
    outside: Caller, mail_house: House, sandbox: Sandbox
) -> None:
    outside.post("/auth/register", PERSON)
    _path, token = link_to(mail_house, sandbox, ANN)
    before = subjects(mail_house, sandbox, ANN)
    answers = [
        outside.post("/auth/register/confirm", {"token": token, "password": password})
        for password in ("another one", PASSWORD, PASSWORD)
    ]

    (text,) = welcomes(mail_house, sandbox)
    assert [answer.status_code for answer in answers] == [422, 204, 422]
    assert before == ["Confirm your address for Largesse"]
    assert text.startswith("Hello Ann,\n\nYour account is ready.\n")
    assert SIGN_IN in text
    assert all(line in text for line in FIRST_STEPS[Role.END_USER])
    assert "Your role" not in text
    assert rows(mail_house, MAILS) == rows(mail_house, "SELECT id FROM users")


def test_s1_108_in_a_demo_who_registers_is_welcomed_at_once(
    anybody: Caller, mail_house: House, sandbox: Sandbox
) -> None:
    anybody.post("/auth/register", PERSON)
    again = anybody.post("/auth/register", PERSON)

    assert again.status_code == 409
    assert len(welcomes(mail_house, sandbox)) == 1


@pytest.mark.parametrize("role", [Role.CAMPAIGN_MANAGER, Role.CLIENT_VIEWER])
def test_s1_108_who_accepts_an_invitation_is_welcomed_once_to_the_place_and_role(
    app: Flask, seeded: Seeded, anybody: Caller, mail_house: House, sandbox: Sandbox, role: Role
) -> None:
    admin = signed_in(app, mail_house, Role.CLIENT_ADMIN, seeded)
    admin.post("/invitations", {"email": ANN, "role": role.value, "name": "Ann"})
    _path, token = link_to(mail_house, sandbox, ANN)
    body = {"token": token, "password": PASSWORD}

    answers = [anybody.post("/invitations/accept", body) for _time in range(2)]

    (text,) = welcomes(mail_house, sandbox)
    assert [answer.status_code for answer in answers] == [204, 422]
    assert f"Your role is {role.value.replace('_', ' ')} at Client." in text
    assert SIGN_IN in text
    assert all(line in text for line in FIRST_STEPS[role])
    assert not any(line in text for line in FIRST_STEPS[Role.END_USER])


def test_s1_108_an_account_that_does_not_begin_welcomes_nobody(
    app: Flask, outside: Caller, mail_house: House, sandbox: Sandbox
) -> None:
    """The address became somebody else's account between the mail and the link."""
    root = signed_in(app, mail_house, Role.PLATFORM_ADMIN)
    root.post("/invitations", {"email": ANN, "role": "platform_support"})
    _path, invitation = link_to(mail_house, sandbox, ANN)
    outside.post("/auth/register", PERSON)
    _path, registration = link_to(mail_house, sandbox, ANN)
    make_user(mail_house, ANN, Role.PLATFORM_SUPPORT)

    confirmed = outside.post(
        "/auth/register/confirm", {"token": registration, "password": PASSWORD}
    )
    accepted = outside.post("/invitations/accept", {"token": invitation, "password": PASSWORD})

    assert (confirmed.status_code, accepted.status_code) == (422, 409)
    assert rows(mail_house, MAILS) == []
    assert welcomes(mail_house, sandbox) == []


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.STOREFRONT_KEY])
def test_s1_108_each_role_is_told_two_or_three_things_at_pages_that_it_may_open(role: Role) -> None:
    lines = FIRST_STEPS[role]
    named = re.findall("“([^”]*)”", " ".join(lines))

    assert 2 <= len(lines) <= 3
    assert named
    assert [label for label in named if BY_LABEL[label] not in GRANTS[role]] == []
