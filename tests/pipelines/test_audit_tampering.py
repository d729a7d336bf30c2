"""The audit log is tamper evident (SEC-29): whoever changes it is told, by stream and number."""

from uuid import UUID

import psycopg
import pytest

from ops.bootstrap import database_url
from pipelines.audit.verify import Broken, Wrong
from pipelines.wiring import House
from tests.auditing import (
    AGENCY,
    CLIENT,
    OTHER,
    STREAM,
    as_superuser,
    at,
    forge_tail,
    look,
    seal_all,
    witness,
    write,
)
from tests.conftest import Database
from tests.driving import rows
from tests.proof import assert_proven, violations

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
