"""Two houses on one database: before the new master key was put first, and after."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from uuid import UUID

import pytest
from sqlalchemy import text

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM, client
from pipelines.keys import reseal as resealing
from pipelines.keys.columns import BY_NAME
from pipelines.keys.reseal import begin_rotation
from pipelines.keys.retire import retire
from pipelines.limits import DEFAULTS
from pipelines.provisioning.reveal import reveal
from pipelines.wiring import House
from tests.conftest import Database, Ground, a_house
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, rows
from tests.intake import submit_file
from tests.seeding import ACTOR, Seeded, seed


def written(version: int, letter: bytes) -> str:
    return f"{version}:{base64.b64encode(letter * 32).decode()}"


OLD, NEW = written(1, b"k"), written(2, b"n")


@dataclass(frozen=True, slots=True)
class Houses:
    """The same database before the rotation and after the new key was put first."""

    old: House
    new: House
    seeded: Seeded


@contextmanager
def both_houses(ground: Ground, database: Database) -> Iterator[Houses]:
    with (
        a_house(ground, database, LARGESSE_MASTER_KEYS=f"{OLD},{NEW}") as old,
        a_house(ground, database, LARGESSE_MASTER_KEYS=f"{NEW},{OLD}") as new,
    ):
        yield Houses(old, new, seed(old, vendor=False))


def in_small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    small = {name: replace(table, rows_at_once=3) for name, table in BY_NAME.items()}
    monkeypatch.setattr(resealing, "BY_NAME", small)


def begin(house: House) -> None:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        begin_rotation(session, house.settings.keyring, now=clock.now(session))


def rotate(house: House) -> None:
    begin(house)
    drain(house)


def versions(house: House, table: str = "cards", column: str = "sealed_number") -> list[int]:
    found = rows(house, f"SELECT DISTINCT get_byte({column}, 0) AS v FROM {table} ORDER BY v")
    return [row.v for row in found]


def states(house: House) -> dict[int, str]:
    return {
        row.version: row.state for row in rows(house, "SELECT version, state FROM key_versions")
    }


def retired(house: House, version: int = 1) -> None:
    retire(house.sessions, version, keyring=house.settings.keyring, limits=DEFAULTS)


def provisions_of(houses: Houses, cards: int) -> list[UUID]:
    """So many cards in hand, sealed under the old key."""
    import_cards_now(houses.old, houses.seeded.csv_pool, cards_csv(cards))
    submit_file(houses.old, houses.seeded, recipients_csv(cards))
    drain(houses.old)
    return [row.id for row in rows(houses.old, "SELECT id FROM provisions ORDER BY id")]


def opened(house: House, seeded: Seeded, provision: UUID) -> tuple[str, str]:
    """What its owner reads."""
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        keyring = house.settings.keyring
        card = reveal(session, provision, actor_id=ACTOR, keyring=keyring, now=clock.now(session))
        assert card.pin is not None
        return card.number.reveal(), card.pin.reveal()


def swap(house: House, card_id: UUID, sealed: bytes) -> None:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        statement = text("UPDATE cards SET sealed_number = :sealed WHERE id = :id")
        session.execute(statement, {"id": card_id, "sealed": sealed})
