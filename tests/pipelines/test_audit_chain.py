"""The audit log is tamper evident (SEC-29): whoever changes it is told, by stream and number."""

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.scope import PLATFORM, SYSTEM
from ops.bootstrap import database_url
from ops.proof import verify_audit_at
from pipelines.audit.chain import canonical_sql, genesis, link
from pipelines.audit.circumstances import network_of
from pipelines.audit.record import changes, record
from pipelines.audit.seal import seal
from pipelines.audit.verify import Broken, Chains, Wrong
from pipelines.audit.witness import witness_heads, witness_key
from pipelines.queue.schedule import fire_due
from pipelines.wiring import House
from tests.conftest import Database
from tests.driving import drain, rows
from tests.proof import assert_proven, violations

AGENCY, CLIENT, OTHER = (UUID(int=n) for n in (0xA, 0xC, 0xD))
STREAM = f"{AGENCY}/{CLIENT}"


def write(house: House, count: int, *, client_id: UUID | None = CLIENT) -> None:
    with scoped_transaction(house.sessions, PLATFORM) as session:
        for number in range(count):
            record(
                session,
                "campaign.changed",
                object_kind="campaign",
                object_id=UUID(int=number),
                actor_id=UUID(int=7),
                agency_id=AGENCY if client_id else None,
                client_id=client_id,
                detail={"name": ["old", f"new {number}"], "größe": 1},
            )


def seal_all(house: House, *, limit: int = 1_000) -> int:
    sealed = 0
    while True:
        with scoped_transaction(house.sessions, SYSTEM) as session:
            done = seal(session, limit=limit)
        sealed += done.entries
        if not done.is_full:
            return sealed


def witness(house: House) -> int:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return len(witness_heads(session, key=witness_key(house.settings.keyring)))


def look(house: House, database: Database, stream: str | None = None) -> Chains:
    key = witness_key(house.settings.keyring)
    return verify_audit_at(database.urls["largesse_readonly"], key=key, stream=stream)


def as_superuser(database: Database, *statements: str) -> None:
    """As who rules the database: no trigger stops it."""
    with psycopg.connect(database_url(database.admin_url, database.name)) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in statements:
            assert connection.execute(statement.encode()).rowcount != 0


def at(sequence: int) -> str:
    return f"client_id = '{CLIENT}' AND sequence = {sequence}"


def test_sec29_entries_are_numbered_without_gaps_per_stream(house: House, database: Database):
    write(house, 3)
    write(house, 2, client_id=OTHER)
    write(house, 2, client_id=None)

    sealed = seal_all(house)
    found = look(house, database)

    assert sealed == 7
    assert (found.ok, found.entries, found.streams, found.unsealed) == (True, 7, 3, 0)
    assert rows(
        house,
        "SELECT client_id, array_agg(sequence ORDER BY at, id) FROM audit_entries "
        "GROUP BY client_id ORDER BY client_id",
    ) == [(CLIENT, [1, 2, 3]), (OTHER, [1, 2]), (None, [1, 2])]
    assert_proven(house)


def test_a_link_is_the_hash_of_its_predecessor_and_its_own_text(house: House):
    write(house, 2)
    seal_all(house)

    first, second = rows(
        house,
        f"SELECT chain_hash, {canonical_sql('e')} AS canonical FROM audit_entries e "
        "ORDER BY sequence",
    )

    assert first.chain_hash == link(genesis(STREAM), first.canonical)
    assert second.chain_hash == link(first.chain_hash, second.canonical)


def test_a_pass_is_bounded_and_the_next_goes_on(house: House, database: Database):
    write(house, 5)

    with scoped_transaction(house.sessions, SYSTEM) as session:
        first = seal(session, limit=3)
    tail = look(house, database)
    rest = seal_all(house, limit=3)

    assert (first.entries, first.is_full, rest) == (3, True, 2)
    assert (tail.ok, tail.entries, tail.unsealed) == (True, 3, 2)
    assert look(house, database).entries == 5


def test_what_was_committed_late_is_numbered_later(house: House, database: Database):
    with scoped_transaction(house.sessions, PLATFORM) as slow:
        record(
            slow,
            "client.changed",
            object_kind="client",
            object_id=None,
            actor_id=None,
            agency_id=AGENCY,
            client_id=CLIENT,
        )
        with ThreadPoolExecutor(1) as elsewhere:
            elsewhere.submit(write, house, 2).result(10)
            assert elsewhere.submit(seal_all, house).result(10) == 2
    seal_all(house)

    in_time = rows(house, "SELECT sequence FROM audit_entries ORDER BY at, id")
    assert [row.sequence for row in in_time] == [3, 1, 2]
    assert look(house, database).ok


def test_sealers_at_once_give_every_number_once(house: House, database: Database):
    for client_id in (CLIENT, OTHER, None):
        write(house, 60, client_id=client_id)
    start = threading.Barrier(4)

    def work(_number: int) -> int:
        start.wait(timeout=10)
        return seal_all(house, limit=7)

    with ThreadPoolExecutor(4) as sealers:
        list(sealers.map(work, range(4)))
    seal_all(house)

    found = look(house, database)
    assert (found.ok, found.entries, found.unsealed) == (True, 180, 0)


def test_a_second_sealer_passes_over_what_the_first_holds(house: House):
    write(house, 1)
    seal_all(house)
    write(house, 2)
    with (
        ThreadPoolExecutor(1) as elsewhere,
        scoped_transaction(house.sessions, SYSTEM) as session,
    ):
        assert seal(session).entries == 2
        elsewhere.submit(write, house, 1, client_id=OTHER).result(10)

        assert elsewhere.submit(seal_all, house).result(10) == 1


def test_a_sealer_that_dies_in_between_leaves_nothing_half_sealed(house: House, database: Database):
    write(house, 4)

    with (
        pytest.raises(ZeroDivisionError),
        scoped_transaction(house.sessions, SYSTEM) as session,
    ):
        seal(session, limit=3)
        raise ZeroDivisionError
    untouched = look(house, database)
    seal_all(house)

    assert (untouched.entries, untouched.unsealed) == (0, 4)
    assert (look(house, database).ok, look(house, database).entries) == (True, 4)


TAMPERED: dict[str, tuple[list[str], int, Wrong]] = {
    "changed": (
        [f"UPDATE audit_entries SET actor_id = '{UUID(int=9)}' WHERE {at(3)}"],
        3,
        Wrong.CHANGED,
    ),
    "detail": (
        [f"UPDATE audit_entries SET detail = '{{}}' WHERE {at(5)}"],
        5,
        Wrong.CHANGED,
    ),
    "deleted": ([f"DELETE FROM audit_entries WHERE {at(2)}"], 2, Wrong.MISSING),
    "first deleted": ([f"DELETE FROM audit_entries WHERE {at(1)}"], 1, Wrong.MISSING),
    "last deleted": ([f"DELETE FROM audit_entries WHERE {at(5)}"], 5, Wrong.MISSING),
    "all deleted": (
        [f"DELETE FROM audit_entries WHERE client_id = '{CLIENT}'"],
        1,
        Wrong.MISSING,
    ),
    "swapped": (
        [
            f"UPDATE audit_entries SET sequence = 99 WHERE {at(2)}",
            f"UPDATE audit_entries SET sequence = 2 WHERE {at(3)}",
            f"UPDATE audit_entries SET sequence = 3 WHERE {at(99)}",
        ],
        2,
        Wrong.REORDERED,
    ),
    "head": (
        [f"UPDATE audit_heads SET hash = 'x' WHERE stream = '{STREAM}'"],
        5,
        Wrong.FOREIGN_HEAD,
    ),
    "moved": (
        [f"UPDATE audit_entries SET client_id = '{UUID(int=99)}' WHERE {at(4)}"],
        4,
        Wrong.MISSING,
    ),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_sec29_verify_names_the_stream_and_the_first_broken_entry(
    house: House, database: Database, name: str
):
    statements, sequence, wrong = TAMPERED[name]
    write(house, 5)
    write(house, 2, client_id=OTHER)
    seal_all(house)
    assert look(house, database).ok

    as_superuser(database, *statements)
    found = look(house, database)

    assert Broken(STREAM, sequence, wrong) in found.broken
    assert f"{AGENCY}/{OTHER}" not in {one.stream for one in found.broken}
    assert look(house, database, stream=f"{AGENCY}/{OTHER}").ok


def test_sec29_the_database_finds_a_changed_entry_and_a_false_head_by_itself(
    house: House, database: Database
):
    write(house, 5)
    seal_all(house)
    assert_proven(house)

    as_superuser(database, TAMPERED["changed"][0][0], TAMPERED["head"][0][0])

    assert violations(house)["audit-chain"] == (
        f"audit {STREAM} 3: not what was sealed",
        f"audit {STREAM} 5: the head is not its last entry",
    )


def forge_tail(house: House, database: Database, first: int) -> None:
    """Change an entry and recompute the chain and its head after it, as its writer would."""
    as_superuser(database, f"UPDATE audit_entries SET detail = '{{}}' WHERE {at(first)}")
    kept = rows(
        house,
        f"SELECT sequence, chain_hash, {canonical_sql('e')} AS canonical FROM audit_entries e "
        "WHERE client_id = :client ORDER BY sequence",
        client=CLIENT,
    )
    last = kept[first - 2].chain_hash if first > 1 else genesis(STREAM)
    for row in kept[first - 1 :]:
        last = link(last, row.canonical)
        as_superuser(
            database,
            f"UPDATE audit_entries SET chain_hash = '\\x{last.hex()}' WHERE {at(row.sequence)}",
        )
    as_superuser(
        database,
        f"UPDATE audit_heads SET hash = '\\x{last.hex()}' WHERE stream = '{STREAM}'",
    )


def test_sec29_a_rewritten_chain_contradicts_its_witness(house: House, database: Database):
    write(house, 5)
    seal_all(house)
    assert (witness(house), witness(house)) == (1, 0)
    write(house, 2)
    seal_all(house)

    forge_tail(house, database, 3)
    found = look(house, database)

    assert found.broken == (Broken(STREAM, 5, Wrong.NOT_AS_WITNESSED),)
    assert violations(house) == {}


def test_sec29_a_cut_off_tail_is_missed_by_its_witness(house: House, database: Database):
    write(house, 3)
    seal_all(house)
    witness(house)

    (kept,) = rows(house, "SELECT chain_hash FROM audit_entries WHERE sequence = 2")
    as_superuser(
        database,
        f"DELETE FROM audit_entries WHERE {at(3)}",
        f"UPDATE audit_heads SET sequence = 2, hash = '\\x{kept.chain_hash.hex()}'",
    )

    assert look(house, database).broken == (Broken(STREAM, 3, Wrong.MISSING),)


def test_sec29_a_forged_witness_is_not_ours(house: House, database: Database):
    write(house, 3)
    seal_all(house)
    witness(house)

    forge_tail(house, database, 2)
    as_superuser(
        database,
        "UPDATE audit_witnesses SET hash = (SELECT hash FROM audit_heads)",
    )

    assert look(house, database).broken == (Broken(STREAM, 3, Wrong.FALSE_WITNESS),)


REFUSED: dict[str, str] = {
    "change": "UPDATE audit_entries SET action = 'x'",
    "renumber": "UPDATE audit_entries SET sequence = 5",
    "rehash": "UPDATE audit_entries SET chain_hash = 'x'",
    "address": "UPDATE audit_entries SET address = '10.0.0.0/24'",
    "delete": "DELETE FROM audit_entries",
    "truncate": "TRUNCATE audit_entries",
    "head back": "UPDATE audit_heads SET sequence = 0",
    "head swapped": "UPDATE audit_heads SET hash = 'x'",
    "head gone": "DELETE FROM audit_heads",
    "witness": "UPDATE audit_witnesses SET hash = 'x'",
    "witness gone": "DELETE FROM audit_witnesses",
    "witnesses emptied": "TRUNCATE audit_witnesses",
}


@pytest.mark.parametrize("statement", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("login", ["superuser", "largesse_system"])
def test_sec13_nobody_changes_the_log_by_an_ordinary_statement(
    house: House, database: Database, login: str, statement: str
):
    """Not even the owner or a superuser, short of switching triggers off."""
    write(house, 1)
    seal_all(house)
    witness(house)

    address = (
        database_url(database.admin_url, database.name)
        if login == "superuser"
        else database.urls[login]
    )
    with (
        psycopg.connect(address) as connection,
        pytest.raises((psycopg.errors.RestrictViolation, psycopg.errors.InsufficientPrivilege)),
    ):
        connection.execute(statement.encode())
    assert look(house, database).ok


@pytest.mark.parametrize("column", ["at", "sequence", "chain_hash"])
@pytest.mark.parametrize("scope", [PLATFORM, SYSTEM])
def test_sec13_who_writes_an_entry_does_not_say_when_or_where(house: House, column: str, scope):
    statement = (
        f"INSERT INTO audit_entries (id, action, object_kind, detail, {column}) "
        "VALUES (gen_random_uuid(), 'x', 'x', '{}', NULL)"
    )
    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        scoped_transaction(house.sessions, scope) as session,
    ):
        session.execute(text(statement))


def test_the_duties_seal_and_witness(
    capsys: pytest.CaptureFixture[str], house: House, database: Database
):
    write(house, 3)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        fire_due(session, clock.now(session))

    drain(house)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("DELETE FROM schedule_runs"))
        fire_due(session, clock.now(session))
    drain(house)

    found = look(house, database)
    told = [line for line in capsys.readouterr().err.splitlines() if "audit.witnessed" in line]
    assert (found.ok, found.entries, found.witnesses, len(told)) == (True, 3, 1, 1)
    assert STREAM in told[0]


def test_a_reason_is_kept_without_what_looks_like_an_address(house: House):
    with scoped_transaction(house.sessions, PLATFORM) as session:
        record(
            session,
            "queue.paused",
            object_kind="queue",
            object_id=None,
            actor_id=new_id(),
            detail={"reason": "anna@shop.test asked"},
        )

    assert rows(house, "SELECT detail FROM audit_entries") == [({"reason": "[removed] asked"},)]


def test_changes_tell_before_and_after_of_what_differs():
    before = {"name": "A", "currency": "USD", "budget": None}

    assert changes(before, {"name": "B", "currency": "USD", "budget": 5}) == {
        "name": ["A", "B"],
        "budget": [None, 5],
    }


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:aa:bb::1", "2001:db8:aa::/48"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("fe80::1%eth0", "fe80::/48"),
        ("unix", None),
        (None, None),
    ],
)
def test_sec40_of_an_address_the_network_is_kept(address: str | None, kept: str | None):
    assert network_of(address) == kept
