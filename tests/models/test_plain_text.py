"""Text that goes straight to the driver behaves as SQLAlchemy's statements do (decision 0048)."""

from os import dup
from socket import SHUT_RDWR, socket
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import bindparam, text
from sqlalchemy.exc import DataError, IntegrityError, NoResultFound, OperationalError

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.scope import PLATFORM, SYSTEM, client
from pipelines.wiring import House
from tests.seeding import seed
from tests.statements import statements

ENTER = "BEGIN{how}; SELECT set_config('role'"


def test_a_row_has_names_places_and_a_mapping(house: House):
    with scoped_transaction(house.sessions, SYSTEM) as session:
        asked = text("SELECT CAST(:one AS int) AS one, 'a%' AS two, '{\"b\": [1]}'::jsonb AS three")

        row = session.execute(asked, {"one": 1}).one()
        again = session.execute(asked, {"one": 2}).mappings().all()

    assert (row.one, row[1], dict(row._mapping)) == (
        1,
        "a%",
        {"one": 1, "two": "a%", "three": {"b": [1]}},
    )
    assert again == [{"one": 2, "two": "a%", "three": {"b": [1]}}]


def test_what_a_statement_touched_is_counted(house: House):
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("CREATE TEMPORARY TABLE t (n int) ON COMMIT DROP"))

        made = session.execute(text("INSERT INTO t SELECT generate_series(1, 3)"))
        found = session.execute(text("SELECT n FROM t WHERE n > :n"), {"n": 9})

        assert made.rowcount == 3  # type: ignore[attr-defined]
        assert len(session.execute(text("SELECT FROM t")).all()) == 3
        assert found.one_or_none() is None
        with pytest.raises(NoResultFound):
            session.execute(text("SELECT n FROM t WHERE n > 9")).scalar_one()


def test_values_and_types_of_the_text_s_own_are_kept(house: House):
    with scoped_transaction(house.sessions, SYSTEM) as session:
        own = text("SELECT CAST(:n AS int)").bindparams(n=7)
        several = text("SELECT 3 IN :n").bindparams(bindparam("n", expanding=True))

        assert session.execute(own).scalar_one() == 7
        assert session.execute(several, {"n": [1, 3]}).scalar_one() is True


def test_a_refusal_of_the_database_s_is_sqlalchemy_s_and_hides_what_was_sent(house: House):
    seeded = seed(house)
    twice = text("INSERT INTO clients SELECT * FROM clients WHERE id = :id AND :secret <> ''")

    with (
        pytest.raises(IntegrityError) as told,
        scoped_transaction(house.sessions, SYSTEM) as session,
    ):
        session.execute(twice, {"id": seeded.client_id, "secret": "s3cr3t"})

    fault = told.value.orig
    assert isinstance(fault, psycopg.errors.UniqueViolation)
    assert fault.diag.table_name == "clients"
    assert "s3cr3t" not in str(told.value)
    assert not told.value.connection_invalidated


def test_a_savepoint_that_waits_is_made_before_the_text(house: House):
    with scoped_transaction(house.sessions, SYSTEM) as session, statements(house) as sent:
        session.execute(text("CREATE TEMPORARY TABLE t (n int) ON COMMIT DROP"))
        savepoint = session.begin_nested()
        session.execute(text("INSERT INTO t VALUES (1)"))
        savepoint.rollback()

        assert session.execute(text("SELECT count(*) FROM t")).scalar_one() == 0
    assert sum(ENTER in one for one in sent) == 1


def test_a_connection_that_died_is_put_away_with_those_of_its_age(house: House):
    with (
        pytest.raises(OperationalError) as told,
        scoped_transaction(house.sessions, SYSTEM) as dies,
    ):
        with socket(fileno=dup(dies.connection().connection.driver_connection.fileno())) as wire:
            wire.shutdown(SHUT_RDWR)
        dies.execute(text("SELECT 1"))

    assert told.value.connection_invalidated
    with scoped_transaction(house.sessions, SYSTEM) as session:
        assert session.execute(text("SELECT 1")).scalar_one() == 1


def test_a_transaction_begins_with_its_scope_in_one_trip(house: House):
    client_id = new_id()
    whose = text(
        "SELECT current_user::text, current_setting('app.client_id'), transaction_timestamp()"
    )

    with (
        statements(house) as sent,
        scoped_transaction(house.sessions, client(client_id)) as session,
    ):
        role, seen, began = session.execute(whose).one()
        now = clock.now(session)
    with scoped_transaction(house.sessions, PLATFORM) as session:
        after = session.execute(whose).one()

    assert (role, UUID(seen)) == ("largesse_client", client_id)
    assert now == began
    assert [one.startswith(ENTER) for one in sent] == [True, False]
    assert tuple(after)[:2] == ("largesse_platform", "")


def test_a_scope_that_the_login_may_not_take_is_an_error(house: House, monkeypatch):
    monkeypatch.setattr("models.entering._isolation", lambda _driver: "; SET ROLE nobody")

    with pytest.raises(DataError), scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("SELECT :id"), {"id": new_id()})


def test_an_isolation_that_was_asked_for_is_begun_with(house: House):
    with scoped_transaction(house.sessions, SYSTEM) as session:
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        session.connection(execution_options=options)
        shown = text("SELECT current_setting('transaction_isolation'), current_setting(:name)")

        told = session.execute(shown, {"name": "transaction_read_only"}).one()

    assert tuple(told) == ("repeatable read", "on")
