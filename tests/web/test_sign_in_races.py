"""What changes while a password is checked is not passed by (SEC-01): the sign-in asks again."""

import threading
from collections.abc import Callable

import pytest
from flask import Flask

from models.people import Role
from pipelines.access import authenticate as door
from pipelines.wiring import House
from tests.driving import rows
from tests.web.conftest import PASSWORD, make_user
from tests.web.test_sign_in import sign_in

CHANGES = {
    "reset": "UPDATE users SET password_hash = 'another' RETURNING 1",
    "disabled": "UPDATE users SET disabled_at = now() RETURNING 1",
    "enrolled": "INSERT INTO authenticators (user_id, confirmed_at) SELECT id, now() FROM users"
    " RETURNING 1",
}


@pytest.mark.parametrize("change", CHANGES)
def test_who_is_checked_while_it_changes_stays_outside(
    app: Flask, house: House, monkeypatch: pytest.MonkeyPatch, change: str
):
    make_user(house, "ann@example.com", Role.PLATFORM_ADMIN)
    honest: Callable[..., bool] = door.is_password

    def slow(*args: object) -> bool:
        found = honest(*args)
        other = threading.Thread(target=rows, args=(house, CHANGES[change]))
        other.start()
        other.join()
        return found

    monkeypatch.setattr(door, "is_password", slow)

    answer = sign_in(app.test_client(), "ann@example.com", PASSWORD)

    assert answer.status_code == 401
    assert rows(house, "SELECT 1 FROM sign_ins WHERE revoked_at IS NULL") == []
