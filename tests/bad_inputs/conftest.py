"""Bad inputs leave nothing behind, so one house serves a whole module."""

import os
from pathlib import Path

import pytest

from tests.standing import admin, app, client_admin, database, house, seeded

__all__ = ["admin", "app", "client_admin", "database", "house", "seeded"]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which this test's uploads are spooled."""
    monkeypatch.setattr("tempfile.tempdir", os.fspath(tmp_path))
    return tmp_path
