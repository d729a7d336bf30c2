"""`largesse keys`: what an operator sees of a rotation, from the first look to the retired key."""

import json
import os
from typing import Any

from click.testing import CliRunner, Result

from ops.__main__ import main
from pipelines.keys.columns import SEALED
from tests.conftest import Database, Ground, a_house
from tests.driving import cards_csv, drain, import_cards_now
from tests.rotating import NEW, OLD
from tests.seeding import seed


def largesse(database: Database, keys: str, *arguments: str) -> Result:
    cleared: dict[str, Any] = {
        name: None for name in os.environ if name.startswith(("LARGESSE_", "DATABASE_"))
    }
    told = {"DATABASE_WORKER_URL": database.urls["largesse_worker"], "LARGESSE_MASTER_KEYS": keys}
    return CliRunner().invoke(main, ["keys", *arguments], env=cleared | told)


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


def test_keys_that_cannot_be_read_are_named_as_such(database: Database) -> None:
    done = largesse(database, "1:short", "status")

    assert done.exit_code == 2
    assert done.output.startswith("LARGESSE_MASTER_KEYS: ")
