"""Audit entries are numbered and chained per stream, whoever seals them and when (SEC-29)."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.scope import PLATFORM, SYSTEM
from pipelines import telemetry
from pipelines.audit import witness as witnesses
from pipelines.audit.chain import canonical_sql, genesis, link
from pipelines.audit.circumstances import network_of
from pipelines.audit.record import changes, record
from pipelines.audit.seal import seal
from pipelines.audit.verify import Broken, Wrong
from pipelines.queue.schedule import fire_due
from pipelines.wiring import House
from tests.auditing import (
    AGENCY,
    CLIENT,
    OTHER,
    STREAM,
    as_superuser,
    forge_tail,
    look,
    seal_all,
    write,
)
from tests.conftest import Database
from tests.driving import drain, rows
from tests.proof import assert_proven


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


def test_entries_that_name_a_client_and_not_its_agency_are_a_whole_chain(
    house: House, database: Database
):
    """Entries of earlier releases do; nobody can change them, so they must not cry for ever."""
    write(house, 2, agency_id=None)
    write(house, 2)
    seal_all(house)

    assert look(house, database).ok
    assert_proven(house)


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


def test_the_duties_seal_and_witness(house: House, database: Database):
    write(house, 3)
    for _day in range(2):
        with scoped_transaction(house.sessions, SYSTEM) as session:
            session.execute(text("DELETE FROM schedule_runs"))
            fire_due(session, clock.now(session))
        drain(house)

    found = look(house, database)
    assert (found.ok, found.entries, found.unsealed, found.witnesses) == (True, 3, 0, 1)


def test_sec29_what_the_log_says_of_the_heads_is_a_witness(
    house: House, database: Database, capsys: pytest.CaptureFixture[str], monkeypatch
):
    """A copy of the log catches a chain rewritten together with the table of witnesses."""
    telemetry.configure("tests")
    monkeypatch.setattr(witnesses, "log", telemetry.get_logger("fresh"))
    write(house, 3)
    seal_all(house)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        witnesses.tell(
            witnesses.witness_heads(session, key=witnesses.witness_key(house.settings.keyring))
        )
    log = ["not JSON", "[]", *capsys.readouterr().err.splitlines()]

    forge_tail(house, database, 2)
    as_superuser(database, "DELETE FROM audit_witnesses")

    assert look(house, database).ok
    told = witnesses.in_log(log)
    assert [(one.stream, one.sequence) for one in told] == [(STREAM, 3)]
    assert look(house, database, told=told).broken == (Broken(STREAM, 3, Wrong.NOT_AS_WITNESSED),)


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
