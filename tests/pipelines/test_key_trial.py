"""A key that nothing is known of is tried on what is stored, and known from then on (SEC-16)."""

import threading
from collections.abc import Iterator
from uuid import UUID

import pytest
from sqlalchemy import text

from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.boot import check_database
from pipelines.keys import trial, walk
from pipelines.keys.columns import BY_NAME
from pipelines.keys.versions import note_versions
from pipelines.sealing import Purpose
from pipelines.settings import SettingsBroken
from pipelines.wiring import House
from tests.conftest import Database, Ground, a_house
from tests.driving import cards_csv, import_cards_now, rows
from tests.intake import accept_cards
from tests.rotating import NEW, Houses, both_houses, swap, written
from tests.until import until

DOES_NOT_OPEN = "Key version 1 does not open what is stored under it."
ANOTHER = "Key version 1 is not the key it was before."


DAMAGE_ALL_BUT_THE_FIRST = """
UPDATE job_inputs SET content = :sealed
WHERE id > (SELECT id FROM job_inputs ORDER BY id LIMIT 1)
"""


@pytest.fixture
def houses(ground: Ground, database: Database) -> Iterator[Houses]:
    with both_houses(ground, database) as made:
        yield made


@pytest.fixture
def wrong(ground: Ground, database: Database) -> Iterator[House]:
    """Another key under the number of the old one."""
    with a_house(ground, database, LARGESSE_MASTER_KEYS=f"{written(1, b'x')},{NEW}") as house:
        yield house


def cards(houses: Houses, count: int) -> list[UUID]:
    """So many, oldest first, each with one value under version 1; nothing is known of its key."""
    import_cards_now(houses.old, houses.seeded.csv_pool, cards_csv(count))
    with scoped_transaction(houses.old.sessions, SYSTEM) as session:
        session.execute(text("UPDATE cards SET sealed_pin = NULL"))
    assert noted(houses) == {1: None}
    return [row.id for row in rows(houses.old, "SELECT id FROM cards ORDER BY id")]


def damage(houses: Houses, card: UUID) -> None:
    swap(houses.old, card, b"\x01" + b"x" * 40)


def seal_anew(houses: Houses, card: UUID) -> None:
    """As a rotation does: under version 2."""
    place = {"table": "cards", "row_id": card, "column": "sealed_number"}
    swap(houses.new, card, houses.new.settings.keyring.seal(Purpose.CODES, "c", **place))


def noted(houses: Houses) -> dict[int, bytes | None]:
    found = rows(houses.old, "SELECT version, check_value AS value FROM key_versions")
    return {row.version: row.value if row.value is None else bytes(row.value) for row in found}


def refusal(house: House) -> str:
    with pytest.raises(SettingsBroken) as refused:
        check_database(house)
    return str(refused.value)


def check_of(house: House) -> bytes:
    return house.settings.keyring.check_value(1)


def test_sec016_a_wrong_key_opens_nothing_is_refused_and_leaves_no_trace(
    houses: Houses, wrong: House
) -> None:
    """As at the first start after schema 0010."""
    cards(houses, 2)

    assert refusal(wrong) == (
        "Key version 1 does not open what is stored under it. Put the right one back into "
        "LARGESSE_MASTER_KEYS; without it they cannot be opened. If it is the right one, and the "
        "values are damaged: `largesse keys trust 1`."
    )
    assert noted(houses) == {1: None}
    check_database(houses.old)
    assert noted(houses) == {1: check_of(houses.old)}


def test_sec016_a_key_is_tried_on_its_values_wherever_they_are(
    houses: Houses, wrong: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each statement is bounded, the look is not: else a wrong key starts beside the right one."""
    monkeypatch.setattr(walk, "LOOKED_AT_ONCE", 1)
    first, _second, third = cards(houses, 3)
    seal_anew(houses, first)
    seal_anew(houses, third)

    assert DOES_NOT_OPEN in refusal(wrong)
    assert noted(houses)[1] is None
    check_database(houses.old)
    assert noted(houses)[1] == check_of(houses.old)


def test_sec016_where_nothing_is_stored_the_first_key_counts_and_a_second_is_refused(
    houses: Houses, wrong: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many rows there are: none of them needs the version."""
    monkeypatch.setattr(walk, "LOOKED_AT_ONCE", 1)
    for card in cards(houses, 3):
        seal_anew(houses, card)

    check_database(houses.old)

    assert noted(houses)[1] == check_of(houses.old)
    assert ANOTHER in refusal(wrong)


@pytest.mark.parametrize("is_used", [False, True])
def test_sec016_of_two_first_keys_at_once_one_counts_and_the_other_is_refused(
    ground: Ground, database: Database, houses: Houses, *, is_used: bool
) -> None:
    """Neither finds anything written down; the second takes back what it wrote."""
    for card in cards(houses, 1) if is_used else []:
        seal_anew(houses, card)
    told: list[str] = []

    def start_second() -> None:
        keys = f"{written(3, b'z')},{written(1, b'x')},{NEW}"
        with a_house(ground, database, LARGESSE_MASTER_KEYS=keys) as house:
            told.append(refusal(house))

    second = threading.Thread(target=start_second)

    with scoped_transaction(houses.old.sessions, SYSTEM) as session:
        assert note_versions(session, houses.old.settings.keyring) == []
        second.start()
        until(lambda: told or session.execute(text(WAITING_FOR_US)).scalar_one())
    second.join(60)

    assert [ANOTHER in sentence for sentence in told] == [True]
    assert noted(houses)[1] == check_of(houses.old)
    assert 3 not in noted(houses)


WAITING_FOR_US = """
SELECT count(*) FROM pg_locks theirs JOIN pg_locks ours USING (transactionid)
WHERE ours.pid = pg_backend_pid() AND ours.granted AND NOT theirs.granted
"""


def test_sec016_damaged_values_do_not_speak_against_a_key_that_opens_another(
    houses: Houses, wrong: House
) -> None:
    """However many are met first: they are passed by."""
    _sound, *damaged = cards(houses, 12)
    for card in damaged:
        damage(houses, card)

    assert DOES_NOT_OPEN in refusal(wrong)
    check_database(houses.old)

    assert noted(houses) == {1: check_of(houses.old)}


def test_sec016_large_values_are_tried_a_few_at_a_time_and_to_the_last(houses: Houses) -> None:
    """Parts of files: more of them than are held in memory at once."""
    for number in range(BY_NAME["job_inputs"].rows_at_once + 1):
        accept_cards(houses.old, houses.seeded.csv_pool, cards_csv(1, f"PART{number}"))
    with scoped_transaction(houses.old.sessions, SYSTEM) as session:
        session.execute(text(DAMAGE_ALL_BUT_THE_FIRST), {"sealed": b"\x01" + b"x" * 40})

    check_database(houses.old)

    assert noted(houses) == {1: check_of(houses.old)}


def test_sec016_a_key_that_opens_none_of_many_is_not_tried_on_all(
    houses: Houses, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong key is told in bounded time; `largesse keys trust` looks at every value."""
    monkeypatch.setattr(trial, "VALUES_TRIED", 2)
    _sound, *damaged = cards(houses, 3)
    for card in damaged:
        damage(houses, card)

    assert DOES_NOT_OPEN in refusal(houses.old)
    assert noted(houses) == {1: None}
