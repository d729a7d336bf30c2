"""Bad inputs leave nothing behind, so one house serves a whole module."""

import os
from pathlib import Path

import pytest

from pipelines.wiring import House
from tests.bad_inputs.json_routes import Asker, asker_of
from tests.partnering import make_partner
from tests.seeding import Seeded
from tests.standing import admin, app, client_admin, database, house, seeded
from tests.web.conftest import Caller

__all__ = ["admin", "app", "client_admin", "database", "house", "seeded"]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which this test's uploads are spooled."""
    monkeypatch.setattr("tempfile.tempdir", os.fspath(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def asker(admin: Caller, house: House, seeded: Seeded) -> Asker:
    return asker_of(admin, make_partner(house, seeded))
