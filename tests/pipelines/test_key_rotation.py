"""Master keys rotate while the house works (security.md section 4): nothing fails, nothing is lost."""

import threading
from collections.abc import Iterator
from types import SimpleNamespace

import psycopg
import pytest

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from models.tables import metadata
from ops.bootstrap import database_url
from pipelines import sealing
from pipelines.keys import reseal as resealing
from pipelines.keys.columns import SEALED
from pipelines.keys.refusals import VersionSealsValues
from pipelines.keys.status import key_status
from pipelines.limits import DEFAULTS
from pipelines.wiring import House, build_handlers
from tests.conftest import Database, Ground
from tests.driving import cards_csv, drain, hasten, import_cards_now, rows
from tests.intake import accept_cards
from tests.rotating import (
    Houses,
    begin,
    both_houses,
    in_small_chunks,
    opened,
    provisions_of,
    retired,
    rotate,
    swap,
    versions,
)
from workers.wrapper import Wrapper

#: Bytes that hold no sealed value: digests, files of recipients in clear, hashes.
DIGESTS = {
    "account",
    "blind_index",
    "chain_hash",
    "check_value",
    "fingerprint",
    "person_key",
    "customer_key",
    "address_key",
    "number_key",
    *("network_key", "device_key", "mailbox_key", "card_key"),
    "plan_hash",
    "sha256",
}
DIGEST_ENDINGS = ("_hash", "_sha256", "_digest", "_mac")
IN_CLEAR = {
    "upload_drafts.content",
    "audit_heads.hash",
    "audit_witnesses.hash",
    "audit_witnesses.mac",
    # Balances and names of tenants, for the platform alone.
    "balance_sheets.file",
    "balance_sheets.lines",
}


@pytest.fixture
def houses(ground: Ground, database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Houses]:
    in_small_chunks(monkeypatch)
    with both_houses(ground, database) as made:
        yield made


def test_sec014_the_registry_lists_every_column_that_may_hold_a_sealed_value() -> None:
    """SEC-14: a column of bytes is sealed and listed, or a digest by its name."""
    listed = {f"{table.name}.{column}" for table in SEALED for column in table.columns}
    there = {
        f"{table.name}.{column.name}"
        for table in metadata().tables.values()
        for column in table.columns
        if column.type.python_type is bytes
        and column.name not in DIGESTS
        and not column.name.endswith(DIGEST_ENDINGS)
    }
    named = {
        f"{table.name}.{column.name}"
        for table in metadata().tables.values()
        for column in table.columns
        if column.name.startswith("sealed_") or column.name.endswith("_sealed")
    }

    assert there - IN_CLEAR == listed
    assert named <= listed


def test_every_sealed_table_admits_versions_by_trigger(house: House) -> None:
    found = rows(
        house,
        "SELECT c.relname, t.tgname, "
        "string_to_array(encode(t.tgargs, 'escape'), '\\000') AS columns, "
        "(SELECT array_agg(a.attname::text ORDER BY a.attname) FROM pg_attribute a "
        " WHERE a.attrelid = c.oid AND a.attnum = ANY (t.tgattr::int2[])) AS watched "
        "FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE t.tgname LIKE 'sealed%'",
    )

    told = {(row.relname, row.tgname): sorted(filter(None, row.columns)) for row in found}
    assert told == {
        (table.name, trigger): sorted(table.columns)
        for table in SEALED
        for trigger in ("sealed_inserted", "sealed_changed")
    }
    assert {row.relname: row.watched for row in found if row.tgname == "sealed_changed"} == {
        table.name: sorted(table.columns) for table in SEALED
    }


def test_every_value_of_every_table_comes_under_the_new_key_and_opens(houses: Houses) -> None:
    provisions = provisions_of(houses, 7)
    before = [opened(houses.old, houses.seeded, provision) for provision in provisions]
    accept_cards(houses.old, houses.seeded.csv_pool, cards_csv(2, "LATER"))
    assert versions(houses.old) == versions(houses.old, "job_inputs", "content") == [1]

    begin(houses.new)
    run_only_resealing(houses.new)

    assert versions(houses.new) == versions(houses.new, column="sealed_pin") == [2]
    assert versions(houses.new, "job_inputs", "content") == [2]
    assert [opened(houses.new, houses.seeded, provision) for provision in provisions] == before
    drain(houses.new)
    assert rows(houses.new, "SELECT count(*) AS n FROM cards")[0].n == 9


def run_only_resealing(house: House) -> None:
    wrapper = Wrapper(house.sessions, build_handlers(house), draw=lambda: 0.0)
    while found := rows(house, "SELECT id FROM tasks WHERE kind = 'reseal'"):
        for row in found:
            wrapper.run(row.id, 1)


def test_no_reveal_fails_while_the_keys_rotate(
    houses: Houses, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Section 4: rotate under load; readers with the keys of before and of now, all the time."""
    monkeypatch.setattr("pipelines.provisioning.reveal.REVEALS_PER_HOUR_MAX", 1_000_000)
    provisions = provisions_of(houses, 8)
    before = {provision: opened(houses.old, houses.seeded, provision) for provision in provisions}
    wrong: list[object] = []
    is_over, reading = threading.Event(), threading.Barrier(3)

    def read(house: House) -> None:
        reading.wait(30)
        while not is_over.is_set():
            try:
                found = {p: opened(house, houses.seeded, p) for p in provisions}
            except Exception as fault:  # told to the test, whatever it is
                wrong.append(fault)
                return
            if found != before:
                wrong.append("another card")

    readers = [threading.Thread(target=read, args=[house]) for house in (houses.old, houses.new)]
    for reader in readers:
        reader.start()
    reading.wait(30)
    rotate(houses.new)
    is_over.set()
    for reader in readers:
        reader.join(60)

    assert wrong == []
    assert versions(houses.new) == [2]


def test_a_chunk_that_fails_midway_leaves_nothing_and_the_next_try_goes_on(
    houses: Houses, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Crash-safe: the cursor moves in the transaction that writes the values."""
    import_cards_now(houses.old, houses.seeded.csv_pool, cards_csv(8))
    begin(houses.new)
    honest = resealing._write
    calls = iter(range(100))

    def fails_once(*given: object) -> int:
        written = honest(*given)
        if next(calls) == 1:
            raise ConnectionResetError
        return written

    monkeypatch.setattr(resealing, "_write", fails_once)
    drain(houses.new)
    stopped = rows(
        houses.new,
        "SELECT looked_at, resealed, finished_at FROM resealings WHERE table_name = 'cards'",
    )[0]
    between = rows(
        houses.new, "SELECT count(*) AS n FROM cards WHERE get_byte(sealed_number, 0) = 1"
    )
    hasten(houses.new)
    drain(houses.new)

    assert (stopped.looked_at, stopped.resealed, stopped.finished_at) == (3, 3, None)
    assert between[0].n == 5
    assert versions(houses.new) == [2]


def test_rotating_again_goes_on_where_it_stood_and_ends_the_older_order(houses: Houses) -> None:
    import_cards_now(houses.old, houses.seeded.csv_pool, cards_csv(8))
    begin(houses.new)
    first = [row.id for row in rows(houses.new, "SELECT id FROM tasks WHERE kind = 'reseal'")]
    wrapper = Wrapper(houses.new.sessions, build_handlers(houses.new), draw=lambda: 0.0)
    for task_id in first:
        wrapper.run(task_id, 1)

    rotate(houses.new)

    found = rows(houses.new, "SELECT table_name, run, looked_at, resealed FROM resealings")
    told = {name: rest for name, *rest in found}
    assert told == {table.name: [2, 0, 0] for table in SEALED} | {"cards": [2, 8, 8]}
    assert rows(houses.new, "SELECT count(*) AS n FROM tasks")[0].n == 0


def test_a_row_in_somebodys_hand_is_passed_over_and_found_in_the_next_pass(
    houses: Houses, database: Database
) -> None:
    import_cards_now(houses.old, houses.seeded.csv_pool, cards_csv(4))
    url = database_url(database.admin_url, database.name)
    with psycopg.connect(url) as holder:
        holder.execute("SELECT FROM cards ORDER BY id LIMIT 1 FOR UPDATE")
        rotate(houses.new)
        held = rows(
            houses.new, "SELECT passes, finished_at FROM resealings WHERE table_name = 'cards'"
        )[0]
        meanwhile = versions(houses.new)
    hasten(houses.new)
    drain(houses.new)

    assert tuple(held) == (2, None)
    assert meanwhile == [1, 2]
    assert versions(houses.new) == [2]


def test_a_worker_with_older_keys_leaves_the_work_to_others(houses: Houses) -> None:
    import_cards_now(houses.old, houses.seeded.csv_pool, cards_csv(2))
    begin(houses.new)

    drain(houses.old)

    waiting = rows(houses.old, "SELECT postponed_for, attempts FROM tasks WHERE kind = 'reseal'")
    assert [tuple(row) for row in waiting] == [("older_keys", 0)] * len(SEALED)
    assert versions(houses.old) == [1]


def test_sec014_a_value_that_does_not_open_is_counted_named_and_left_alone(
    houses: Houses, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SEC-14: swapped ciphertexts open nowhere; the rotation ends, and the old key stays."""
    import_cards_now(houses.old, houses.seeded.csv_pool, cards_csv(3))
    first, second, _third = rows(houses.old, "SELECT id, sealed_number FROM cards ORDER BY id")
    swap(houses.old, first.id, second.sealed_number)
    swap(houses.old, second.id, first.sealed_number)

    told: list[dict[str, object]] = []
    monkeypatch.setattr(sealing, "log", SimpleNamespace(error=lambda e, **f: told.append({e: f})))

    rotate(houses.new)

    with scoped_transaction(houses.new.sessions, SYSTEM) as session:
        seen = key_status(
            session, houses.new.settings.keyring, now=clock.now(session), limits=DEFAULTS
        )
    ways = {way.table_name: (way.resealed, way.unopened) for way in seen.resealings}
    assert ways == {table.name: (0, 0) for table in SEALED} | {"cards": (1, 2)}
    assert houses.new.settings.keyring.unopened == 2
    place = {"version": 1, "table": "cards", "column": "sealed_number"}
    assert told == [
        {"sealing.decryption_failed": place | {"row_id": str(card.id)}} for card in (first, second)
    ]
    with pytest.raises(VersionSealsValues) as refused:
        retired(houses.new)
    assert "still seals values: 2 in cards." in refused.value.detail
