"""A person at the console: signs in, opens pages, fills in the forms they show."""

import re
from dataclasses import dataclass

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from models import clock
from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.access.console_sessions import open_session
from pipelines.wiring import House
from tests.seeding import Seeded
from tests.web.conftest import make_user

HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


@dataclass(frozen=True, slots=True)
class Visitor:
    """A browser with a console session."""

    client: FlaskClient

    def get(self, path: str) -> TestResponse:
        return self.client.get(path)

    def send(self, path: str, shown_at: str | None = None, **fields: object) -> TestResponse:
        """Send the last form of the page at `shown_at`, its hidden fields included."""
        page = self.client.get(shown_at or path).text
        form = page.rpartition("<form")[2]
        hidden = dict(HIDDEN.findall(form))
        return self.client.post(path, data=hidden | fields, headers=SAME_ORIGIN)


def visitor_of(app: Flask, house: House, role: Role, seeded: Seeded | None = None) -> Visitor:
    """A visitor with a session of a new user of the role."""
    user_id = make_user(house, f"{role.value}@console.example", role, seeded)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        token = open_session(session, user_id, now=clock.now(session), limits=house.limits)
    client = app.test_client()
    client.set_cookie("largesse", token)
    return Visitor(client)


@pytest.fixture
def bob(app: Flask, house: House, seeded: Seeded) -> Visitor:
    """A client's administrator."""
    return visitor_of(app, house, Role.CLIENT_ADMIN, seeded)
