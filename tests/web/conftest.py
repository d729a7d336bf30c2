"""A front on a test's own database, with people of every role who can sign in."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from models import clock
from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.access.passwords import hash_password
from pipelines.access.sign_ins import SignInKind, open_sign_in
from pipelines.access.tokens import AccessClaims, issue_access_token
from pipelines.access.users import NewUser, add_user, prove_address
from pipelines.wiring import House
from tests.canary import MARK
from tests.seeding import Seeded, seed
from web.app import create_app

PASSWORD = f"correct horse {MARK}"
_hashed_once = functools.cache(hash_password)


@dataclass(frozen=True, slots=True)
class Caller:
    """A signed-in caller of the API."""

    client: FlaskClient
    headers: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.open(
            f"/api/v1{path}", method=method, json=body, headers=self.headers | given
        )

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> TestResponse:
        return self.call("POST", path, body, **headers)


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house)


@pytest.fixture
def app(house: House) -> Iterator[Flask]:
    yield create_app(house)


@pytest.fixture
def browser(app: Flask) -> FlaskClient:
    """Somebody who is not signed in."""
    return app.test_client()


def make_user(house: House, email: str, role: Role, seeded: Seeded | None = None) -> UUID:
    """A user of a role in the seeded tenant, whose address is proven."""
    in_agency = not role.value.startswith("platform")
    in_client = in_agency and not role.value.startswith("agency")
    person = NewUser(
        email,
        PASSWORD,
        role,
        agency_id=seeded.agency_id if seeded and in_agency else None,
        client_id=seeded.client_id if seeded and in_client else None,
    )
    with scoped_transaction(house.sessions, SYSTEM) as session:
        hashed = _hashed_once(PASSWORD)
        user_id = add_user(session, person, password_hash=hashed, actor_id=None)
        prove_address(session, user_id)
        return user_id


def signed_in(
    app: Flask, house: House, role: Role, seeded: Seeded | None = None, *, name: str = ""
) -> Caller:
    """A caller with a token of a new user of the role; no password is hashed twice."""
    email = f"{name}{role.value}.{seeded and seeded.client_id}@x.example"
    user_id = make_user(house, email, role, seeded)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = clock.now(session)
        sign_in = open_sign_in(session, user_id, SignInKind.REFRESH, seconds=600, now=now)
    token = issue_access_token(
        AccessClaims(user_id, sign_in),
        role=role.value,
        key=house.settings.token_key,
        now=now,
        seconds=600,
    )
    return Caller(app.test_client(), {"Authorization": f"Bearer {token}"})


@pytest.fixture
def admin(app: Flask, house: House) -> Caller:
    return signed_in(app, house, Role.PLATFORM_ADMIN)


@pytest.fixture
def manager(app: Flask, house: House, seeded: Seeded) -> Caller:
    return signed_in(app, house, Role.CAMPAIGN_MANAGER, seeded)


@pytest.fixture
def client_admin(app: Flask, house: House, seeded: Seeded) -> Caller:
    return signed_in(app, house, Role.CLIENT_ADMIN, seeded)
