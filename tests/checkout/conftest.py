"""A till on a test's own database, with the sandbox's Stripe behind it."""

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.paying import Till
from tests.security.tenants import key_caller
from tests.seeding import Seeded, seed
from tests.vendor import Sandbox
from tests.web.conftest import Caller, signed_in
from web.app import create_app


@pytest.fixture
def app(vendor_house: House) -> Flask:
    return create_app(vendor_house)


@pytest.fixture
def till(app: Flask, vendor_house: House, sandbox: Sandbox) -> Till:
    seeded: Seeded = seed(vendor_house)
    return Till(app, vendor_house, seeded, key_caller(app, vendor_house, seeded.client_id), sandbox)


@pytest.fixture
def settler(app: Flask, vendor_house: House, till: Till) -> Caller:
    """Who may pay purchases back."""
    return signed_in(app, vendor_house, Role.CLIENT_ADMIN, till.seeded)
