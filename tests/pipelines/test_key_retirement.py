"""A key version is retired when it is certain that no value needs it, and boot knows the keys."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from models.base import new_id
from models.database import scoped_transaction
from models.locks import Namespace, wait_for_lock
from models.scope import SYSTEM
from pipelines.boot import check_database
from pipelines.keys.columns import BY_NAME
from pipelines.keys.refusals import (
    SealingBusy,
    VersionCurrent,
    VersionInUse,
    VersionSealsValues,
    VersionUnknown,
)
from pipelines.keys.retire import count_values
from pipelines.sealing import Keyring
from pipelines.settings import SettingsBroken
from tests.conftest import Database, Ground, a_house
from tests.driving import cards_csv, import_cards_now, rows
from tests.intake import accept_cards
from tests.rotating import (
    NEW,
    OLD,
    Houses,
    both_houses,
    in_small_chunks,
    retired,
    rotate,
    states,
    swap,
    written,
)
from tests.seeding import seed
from tests.until import until


@pytest.fixture
def houses(ground: Ground, database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Houses]:
    in_small_chunks(monkeypatch)
    with both_houses(ground, database) as made:
        yield made


def test_a_version_that_still_seals_values_is_not_retired_and_stays_live(houses: Houses) -> None:
    """Section 4: retire early, refused."""
    import_cards_now(houses.old, houses.seeded.csv_pool, cards_csv(5))
    accept_cards(houses.old, houses.seeded.csv_pool, cards_csv(1, "LATER"))

    with pytest.raises(VersionSealsValues) as refused:
        retired(houses.new)

    assert refused.value.detail == (
        "Key version 1 still seals values: 5 in cards, 1 in job_inputs. Run `largesse keys "
        "rotate`, wait until `largesse keys status` says that it is finished, then retire the "
        "version."
    )
    assert states(houses.new)[1] == "live"
    import_cards_now(houses.old, houses.seeded.csv_pool, cards_csv(1, "OLD"))


def test_a_retired_version_seals_nothing_ever_again(houses: Houses) -> None:
    import_cards_now(houses.old, houses.seeded.csv_pool, cards_csv(2))
    rotate(houses.new)

    retired(houses.new)
    retired(houses.new)

    assert states(houses.new) == {1: "retired", 2: "live"}
    with scoped_transaction(houses.new.sessions, SYSTEM) as session:
        assert count_values(session, 1) == []
    for seal_again in (insert_old, change_to_old):
        with pytest.raises(DBAPIError, match="seals nothing any more"):
            seal_again(houses)
    audited = rows(houses.new, "SELECT action, detail FROM audit_entries WHERE action LIKE 'keys%'")
    assert [(row.action, row.detail["version"]) for row in audited] == [
        ("keys.rotation_ordered", 2),
        ("keys.retired", 1),
    ]


def insert_old(houses: Houses) -> None:
    accept_cards(houses.old, houses.seeded.csv_pool, cards_csv(1, "LATER"))


def change_to_old(houses: Houses) -> None:
    swap(houses.old, rows(houses.old, "SELECT id FROM cards")[0].id, b"\x01" + b"x" * 40)


def test_a_retirement_waits_for_who_is_sealing_just_now(houses: Houses) -> None:
    """What they seal is not committed yet, and would be missed."""
    import_cards_now(houses.old, houses.seeded.csv_pool, cards_csv(1))
    rotate(houses.new)
    with scoped_transaction(houses.old.sessions, SYSTEM) as session:
        card = rows_in(session, "SELECT id FROM cards")
        keyring, place = houses.old.settings.keyring, {"table": "cards", "row_id": card}
        sealed = keyring.seal(*SEALED_AS, **place, column="sealed_pin")
        session.execute(
            text("UPDATE cards SET sealed_pin = :sealed WHERE id = :id"),
            {"id": card, "sealed": sealed},
        )
        found = in_thread(lambda: retired(houses.new))

    assert isinstance(found, SealingBusy)
    assert states(houses.new)[1] == "live"
    with pytest.raises(VersionSealsValues):
        retired(houses.new)


@pytest.mark.parametrize("is_needed", [False, True])
def test_two_retirements_at_once_take_turns_and_each_decides_on_what_it_finds(
    houses: Houses, *, is_needed: bool
) -> None:
    """Else who finds values opens the version again beneath who has counted none."""
    import_cards_now(houses.old, houses.seeded.csv_pool, cards_csv(1))
    if not is_needed:
        rotate(houses.new)
    raised: list[BaseException | None] = []
    both = [threading.Thread(target=lambda: raised.append(tried(houses))) for _ in range(2)]

    with scoped_transaction(houses.new.sessions, SYSTEM) as session:
        wait_for_lock(session, Namespace.KEY_VERSIONS, "versions")
        for one in both:
            one.start()
        until(lambda: rows_in(session, WAITING) == 2)
        assert rows_in(session, "SELECT state FROM key_versions WHERE version = 1") == "live"
    for one in both:
        one.join(60)

    refusals = [type(fault) for fault in raised]
    assert refusals == ([VersionSealsValues] * 2 if is_needed else [type(None)] * 2)
    assert states(houses.new)[1] == ("live" if is_needed else "retired")
    told = rows(houses.new, "SELECT 1 FROM audit_entries WHERE action = 'keys.retired'")
    assert len(told) == (0 if is_needed else 1)


WAITING = """
SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
WHERE d.datname = current_database() AND l.locktype = 'advisory' AND NOT l.granted
"""


def tried(houses: Houses) -> BaseException | None:
    try:
        retired(houses.new)
    except BaseException as fault:
        return fault
    return None


SEALED_AS = (BY_NAME["cards"].columns["sealed_pin"][0], "0000")


def rows_in(session: object, statement: str) -> Any:
    return session.execute(text(statement)).scalar_one()  # type: ignore[attr-defined]


def in_thread(act: object) -> BaseException | None:
    """What an act of somebody else raises, while this one's transaction is open."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            act()  # type: ignore[operator]
        except BaseException as fault:
            raised.append(fault)

    other = threading.Thread(target=run)
    other.start()
    other.join(60)
    return raised[0] if raised else None


def test_a_version_that_is_current_or_was_never_used_is_not_retired(houses: Houses) -> None:
    import_cards_now(houses.new, houses.seeded.csv_pool, cards_csv(1))

    with pytest.raises(VersionCurrent):
        retired(houses.new, 2)
    with pytest.raises(VersionUnknown):
        retired(houses.new, 7)


@pytest.mark.parametrize("seals_with", ["1", "NULL"])
def test_a_version_with_which_a_living_process_seals_is_not_retired(
    houses: Houses, seals_with: str
) -> None:
    """A process of before this code says nothing, and is taken at its worst."""
    import_cards_now(houses.old, houses.seeded.csv_pool, cards_csv(1))
    rotate(houses.new)
    with scoped_transaction(houses.new.sessions, SYSTEM) as session:
        session.execute(
            text(
                "INSERT INTO processes (id, name, host, pid, threads, key_version) "
                f"VALUES (:id, 'bulk', 'elsewhere', 7, 1, {seals_with})"
            ),
            {"id": new_id()},
        )

    with pytest.raises(VersionInUse) as refused:
        retired(houses.new)

    assert "bulk (elsewhere, pid 7)" in refused.value.detail
    assert states(houses.new)[1] == "live"


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (NEW, "Stored values are sealed under key version 1. Put the right one back"),
        (written(1, b"x"), "Key version 1 is not the key it was before. Put the right one back"),
        (f"{written(3, b'y')},{OLD},{NEW}", None),
    ],
)
def test_a_process_without_the_right_keys_does_not_start(
    ground: Ground, database: Database, keys: str, sentence: str | None
) -> None:
    """Section 4: boot refuses while a live version's key is missing, without reading a value."""
    with a_house(ground, database, LARGESSE_MASTER_KEYS=OLD) as first:
        check_database(first)
        import_cards_now(first, seed(first, vendor=False).csv_pool, cards_csv(1))

    with a_house(ground, database, LARGESSE_MASTER_KEYS=keys) as house:
        if sentence is None:
            check_database(house)
            return
        with pytest.raises(SettingsBroken) as refused:
            check_database(house)

    assert sentence in str(refused.value)


def test_the_key_of_the_index_stays_in_the_list_when_it_seals_nothing_any_more(
    houses: Houses, ground: Ground, database: Database
) -> None:
    check_database(houses.old)
    import_cards_now(houses.old, houses.seeded.csv_pool, cards_csv(1))
    rotate(houses.new)
    retired(houses.new)

    check_database(houses.new)
    with (
        pytest.raises(SettingsBroken, match="reveal links rest on key version 1"),
        a_house(ground, database, LARGESSE_MASTER_KEYS=NEW) as without,
    ):
        check_database(without)
    with pytest.raises(SettingsBroken, match="Key version 1 is retired"):
        check_database(houses.old)


def test_a_check_value_says_nothing_of_a_key() -> None:
    ring = Keyring({1: b"k" * 32, 2: b"n" * 32}, current=1, index_version=1)

    assert ring.check_value(1) != ring.check_value(2)
    assert ring.check_value(1) not in {b"k" * 32, ring.lasting_key("check")}
