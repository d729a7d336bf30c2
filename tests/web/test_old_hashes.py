"""Passwords that came with bcrypt's hashes are good, and leave with argon2id's (S1-023, S3-066)."""

import bcrypt
import pytest
from sqlalchemy import text

from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.access.authenticate import InvalidCredentials, authenticate
from pipelines.wiring import House
from tests.driving import rows
from tests.web.conftest import make_user

ANN = "ann@example.com"
#: The work is not what is tested: the cheapest that bcrypt allows.
ROUNDS = 4


def with_old_hash(house: House, password: str, *, of: bytes | None = None) -> None:
    user_id = make_user(house, ANN, Role.PLATFORM_ADMIN)
    old = bcrypt.hashpw(of or password.encode(), bcrypt.gensalt(ROUNDS)).decode()
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(
            text("UPDATE users SET password_hash = :old WHERE id = :user"),
            {"old": old, "user": user_id},
        )


def kept_hash(house: House) -> str:
    (row,) = rows(house, "SELECT password_hash FROM users WHERE email = :email", email=ANN)
    return str(row.password_hash)


def test_an_old_hash_is_checked_and_replaced(house: House):
    with_old_hash(house, "pass word of old")

    first = authenticate(house.sessions, house.settings.keyring, ANN, "pass word of old", code=None)
    fresh = kept_hash(house)

    assert fresh.startswith("$argon2id$")
    assert (
        authenticate(house.sessions, house.settings.keyring, ANN, "pass word of old", code=None)
        == first
    )
    assert kept_hash(house) == fresh


def test_a_wrong_password_changes_nothing(house: House):
    with_old_hash(house, "pass word of old")
    before = kept_hash(house)

    with pytest.raises(InvalidCredentials):
        authenticate(house.sessions, house.settings.keyring, ANN, "pass word of new", code=None)

    assert kept_hash(house) == before


@pytest.mark.parametrize("characters", [72, 80, 200])
def test_of_a_long_password_bcrypt_saw_the_beginning_only_so_nothing_is_made_of_it(
    house: House, characters: int
):
    """SEC-02: bcrypt 5 refuses more than 72 bytes where older ones cut them off."""
    long = "x" * characters
    with_old_hash(house, long, of=long.encode()[:72])
    before = kept_hash(house)

    right = authenticate(house.sessions, house.settings.keyring, ANN, long, code=None)
    mistyped = authenticate(
        house.sessions, house.settings.keyring, ANN, long[:72] + "typed wrong", code=None
    )

    assert right == mistyped
    assert kept_hash(house) == before


def test_what_is_no_hash_at_all_lets_nobody_in(house: House):
    with_old_hash(house, "pass word of old")
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("UPDATE users SET password_hash = '$2b$no hash'"))

    with pytest.raises(InvalidCredentials):
        authenticate(house.sessions, house.settings.keyring, ANN, "pass word of old", code=None)
