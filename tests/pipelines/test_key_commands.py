"""`largesse keys`: what an operator sees of a rotation, from the first look to the retired key."""

import json
import os
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from models.base import new_id
from models.database import scoped_transaction
from models.scope import SYSTEM
from ops.__main__ import main
from pipelines.boot import check_database
from pipelines.keys.columns import SEALED
from pipelines.settings import SettingsBroken
from tests.conftest import Database, Ground, a_house
from tests.driving import cards_csv, drain, import_cards_now, rows
from tests.rotating import NEW, OLD, swap, written
from tests.seeding import seed


def largesse(database: Database, keys: str, *arguments: str, said: str = "") -> Result:
    cleared: dict[str, Any] = {
        name: None for name in os.environ if name.startswith(("LARGESSE_", "DATABASE_"))
    }
    told = {"DATABASE_WORKER_URL": database.urls["largesse_worker"], "LARGESSE_MASTER_KEYS": keys}
    return CliRunner().invoke(main, ["keys", *arguments], env=cleared | told, input=said)


def status(database: Database, keys: str) -> dict[str, Any]:
    done = largesse(database, keys, "status", "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.output)


def test_a_rotation_from_the_command_line(ground: Ground, database: Database) -> None:
    both, turned = f"{OLD},{NEW}", f"{NEW},{OLD}"
    with a_house(ground, database, LARGESSE_MASTER_KEYS=both) as old:
        import_cards_now(old, seed(old, vendor=False).csv_pool, cards_csv(4))

    before = status(database, turned)
    early = largesse(database, turned, "retire", "1")
    ordered = largesse(database, turned, "rotate")
    with a_house(ground, database, LARGESSE_MASTER_KEYS=turned) as new:
        drain(new)
    after = status(database, turned)
    retired = largesse(database, turned, "retire", "1")

    assert (before["current"], before["rotation_finished"]) == (2, False)
    assert [(v["version"], v["state"]) for v in before["versions"]] == [(1, "live")]
    assert early.exit_code == 2
    assert "Key version 1 still seals values: 4 in cards." in early.output
    assert ordered.exit_code == 0
    assert "cards to version 2: pass 1, looked at 0" in ordered.output
    assert after["rotation_finished"] is True
    nothing = dict.fromkeys((table.name for table in SEALED), 0)
    assert {w["table_name"]: w["resealed"] for w in after["resealings"]} == nothing | {"cards": 4}
    assert retired.exit_code == 0
    assert retired.output.startswith("Version 1 seals nothing any more. Keep it")


def test_keys_that_are_not_those_of_the_data_rotate_nothing(
    ground: Ground, database: Database
) -> None:
    with a_house(ground, database, LARGESSE_MASTER_KEYS=OLD) as old:
        import_cards_now(old, seed(old, vendor=False).csv_pool, cards_csv(1))

    done = largesse(database, NEW, "rotate")

    assert done.exit_code == 2
    assert "Stored values are sealed under key version 1." in done.output


def test_sec016_a_sound_house_whose_only_values_are_damaged_is_let_in_by_trust(
    ground: Ground, database: Database
) -> None:
    """SEC-16: nothing speaks for the right key, so a person does, knowing what does not open."""
    with a_house(ground, database, LARGESSE_MASTER_KEYS=OLD) as house:
        import_cards_now(house, seed(house, vendor=False).csv_pool, cards_csv(2))
        for card in rows(house, "SELECT id FROM cards"):
            swap(house, card.id, b"\x01" + b"x" * 40)
        with scoped_transaction(house.sessions, SYSTEM) as session:
            session.execute(text("UPDATE cards SET sealed_pin = NULL"))
        with pytest.raises(SettingsBroken, match="`largesse keys trust 1`"):
            check_database(house)

        refused = largesse(database, OLD, "trust", "1", said="n\n")
        with pytest.raises(SettingsBroken, match="`largesse keys trust 1`"):
            check_database(house)
        done = largesse(database, OLD, "trust", "1", said="y\n")
        again = largesse(database, OLD, "trust", "1", "--yes")
        check_database(house)
        audited = rows(house, "SELECT detail FROM audit_entries WHERE action = 'keys.trusted'")

    assert (refused.exit_code, done.exit_code, again.exit_code) == (1, 0, 0)
    said = "Of the values under version 1, your key opens 0 and does not open 2.\n"
    assert refused.output.startswith(said)
    assert done.output.startswith(said)
    assert again.output == said + "Noted: this is the key of version 1.\n"
    assert [row.detail for row in audited] == [{"version": 1, "opened": 0, "unopened": 2}]


def test_sec016_trust_puts_the_right_key_in_the_place_of_a_wrong_one_that_came_first(
    ground: Ground, database: Database
) -> None:
    with a_house(ground, database, LARGESSE_MASTER_KEYS=written(1, b"x")) as wrong:
        check_database(wrong)
        with a_house(ground, database, LARGESSE_MASTER_KEYS=OLD) as right:
            with pytest.raises(SettingsBroken, match="Key version 1 is not the key it was before"):
                check_database(right)

            done = largesse(database, OLD, "trust", "1", "--yes")

            assert done.exit_code == 0, done.output
            check_database(right)
        with pytest.raises(SettingsBroken, match="Key version 1 is not the key it was before"):
            check_database(wrong)


@pytest.mark.parametrize(
    ("version", "seals_with", "sentence"),
    [
        ("1", "1", "Processes run that seal with version 1: bulk (elsewhere, pid 7). Stop them"),
        ("1", "NULL", "Processes run that seal with version 1: bulk (elsewhere, pid 7). Stop them"),
        ("2", "1", "Key version 2 is not in LARGESSE_MASTER_KEYS."),
        ("3", "1", "No value was ever sealed under key version 3."),
    ],
)
def test_sec016_trust_is_refused_beside_who_seals_and_for_what_is_not_there(
    ground: Ground, database: Database, version: str, seals_with: str, sentence: str
) -> None:
    """SEC-16: else two keys would seal under one number."""
    keys = f"{OLD},{written(3, b'z')}"
    with a_house(ground, database, LARGESSE_MASTER_KEYS=written(1, b"x")) as house:
        check_database(house)
        before = rows(house, "SELECT version, check_value FROM key_versions")
        with scoped_transaction(house.sessions, SYSTEM) as session:
            session.execute(
                text(
                    "INSERT INTO processes (id, name, host, pid, threads, key_version) "
                    f"VALUES (:id, 'bulk', 'elsewhere', 7, 1, {seals_with})"
                ),
                {"id": new_id()},
            )

        done = largesse(database, keys, "trust", version, "--yes")

        assert done.exit_code == 2
        assert sentence in done.output
        assert rows(house, "SELECT version, check_value FROM key_versions") == before
        assert rows(house, "SELECT 1 FROM audit_entries WHERE action = 'keys.trusted'") == []


def test_keys_that_cannot_be_read_are_named_as_such(database: Database) -> None:
    done = largesse(database, "1:short", "status")

    assert done.exit_code == 2
    assert done.output.startswith("LARGESSE_MASTER_KEYS: ")
