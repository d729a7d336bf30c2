"""Who sees what: every table in its class, every tenant behind its policies (docs/tenancy.md)."""

from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from models import scope as scopes
from models.base import TableClass
from models.database import (
    Sessions,
    create_database_engine,
    scoped_transaction,
    sessions_of,
    transaction,
)
from models.scope import PLATFORM, SYSTEM, NoScope, ScopeRole, agency, client, tenant_scope
from models.tables import CLASSES, metadata
from ops.bootstrap import LOGINS, OWNER
from pipelines.wiring import House
from tests.conftest import Database
from tests.driving import rows
from tests.models.two_tenants import Two

TENANT = sorted(name for name, kind in CLASSES.items() if kind is TableClass.TENANT)
WITHOUT_CLIENT_ROWS = {"agencies"}  # an agency is not its clients'
APPENDED_ONLY = {"transfers", "postings", "audit_entries", "erasures", "coupon_codes"}
APPENDED_ONLY |= {"code_index", "coupon_events", "open_redemptions", "draw_members", "draw_chunks"}
APPENDED_ONLY |= {"discount_rules", "claims"}
#: Read by tenants; written by a trigger and a duty alone, or by the platform.
ONLY_READ = {"issued_deltas", "issued_daily", "receivables", "book_deltas", "book_sums"}
ONLY_READ |= {"coupon_usage_deltas", "coupon_usage_daily", "discount_refusals"}
ONLY_READ |= {"partner_users"}  # made by a function; its row can be locked, and says when
HELD_BY_TRIGGER = {"coupons"}  # refused before the policy: `test_a_coupon_stays_its_tenants`
BY_COLUMN = {"users", "api_keys", "invitations", "alerts"}  # their wall: test_people.py
#: Read by the system alone; whoever writes one writes it for the tenant in scope.
WRITTEN_FOR_ONESELF = {"webhook_facts", "alert_signals"}
OF_ALL_OR_OF_ONE = {"prices"}  # some are of one client, which it alone sees
POLICIES = {"platform", "system", "readonly", "agency", "client"}
#: Functions run as the owner: `keep_vendor_card`, `return_cards` and `know_partner_user` look at the
#: client in scope.
READ_BY_THE_OWNER = {"provider_orders", "provisions"}
#: Those of people look beyond a client; whoever they make or change is nobody's, and no staff.
OF_THE_OWNER = {name: {"owner"} for name in READ_BY_THE_OWNER | {"client_users", "partner_users"}}
OF_THE_OWNER["users"] = {"owner", "owner_makes", "owner_adopts"}
_NOBODY = "(role = 'end_user'::text) AND (agency_id IS NULL) AND (client_id IS NULL) "
_NOBODY += "AND (password_hash IS NULL)"


def counts(house: House, scope: scopes.Scope, column: str, value: UUID) -> dict[str, list[int]]:
    """Per tenant table, without any WHERE: rows of this tenant, and rows of anybody else."""
    found: dict[str, list[int]] = {}
    with scoped_transaction(house.sessions, scope) as session:
        for name in TENANT:
            statement = text(
                f"SELECT count(*) FILTER (WHERE {column} = :value), "
                f"count(*) FILTER (WHERE {column} IS DISTINCT FROM :value) FROM {name}"
            )
            found[name] = list(session.execute(statement, {"value": value}).one())
    return found


def test_every_table_of_the_models_and_of_the_database_has_one_class(house: House) -> None:
    there = {row.relname for row in rows(house, _TABLES)}

    assert set(CLASSES) == set(metadata().tables) == there - {"alembic_version"}
    assert there - set(CLASSES) == {"alembic_version"}


def test_tenant_tables_have_both_columns_forced_policies_and_no_other_table_has(
    house: House,
) -> None:
    found = {row.relname: row for row in rows(house, _TABLES)}

    forced = {name for name, row in found.items() if row.relforcerowsecurity}
    assert forced == set(TENANT) | WRITTEN_FOR_ONESELF | OF_ALL_OR_OF_ONE
    assert {name for name in TENANT if not found[name].relrowsecurity} == set()
    assert {
        name
        for name in TENANT
        if set(found[name].policies or ()) != POLICIES | OF_THE_OWNER.get(name, set())
    } == set()
    columns = metadata().tables
    assert {
        n for n in TENANT if not {"agency_id", "client_id"} <= set(columns[n].c.keys())
    } == set()


def test_each_policy_of_a_tenant_table_is_one_equality_for_one_role(house: House) -> None:
    found = rows(
        house,
        "SELECT policyname, array_agg(DISTINCT roles::text) AS roles, "
        "array_agg(DISTINCT qual) AS quals, array_agg(DISTINCT with_check) AS checks "
        "FROM pg_policies WHERE tablename = ANY(:tables) GROUP BY policyname",
        tables=TENANT,
    )

    assert {row.policyname: (row.roles, row.quals, row.checks) for row in found} == {
        "agency": (["{largesse_agency}"], [_equality("agency_id")], [None]),
        "client": (["{largesse_client}"], [_equality("client_id")], [None]),
        "platform": (["{largesse_platform}"], ["true"], [None]),
        "readonly": (["{largesse_readonly}"], ["true"], [None]),
        "system": (["{largesse_system}"], ["true"], [None]),
        "owner": (
            ["{largesse_owner}"],
            [f"((undone_at IS NULL) OR {_equality('client_id')})", _equality("client_id"), "true"],
            [None],
        ),
        "owner_makes": (["{largesse_owner}"], [None], [f"({_NOBODY})"]),
        "owner_adopts": (
            ["{largesse_owner}"],
            [f"({_NOBODY} AND (disabled_at IS NULL))"],
            ["true"],
        ),
    }


def _equality(column: str) -> str:
    return f"({column} = (NULLIF(current_setting('app.{column}'::text, true), ''::text))::uuid)"


def test_there_is_no_view_that_could_look_past_the_policies(house: House) -> None:
    """A view reads with the rights of whoever looks, or it is not there."""
    found = rows(
        house,
        "SELECT relname FROM pg_class WHERE relkind IN ('v', 'm') "
        "AND relnamespace = 'public'::regnamespace "
        "AND NOT coalesce('security_invoker=true' = ANY (reloptions), false)",
    )

    assert found == []


def test_a_session_without_a_scope_raises(house: House) -> None:
    with pytest.raises(NoScope), house.sessions() as session:
        session.execute(text("SELECT 1"))
    with pytest.raises(NoScope), transaction(house.sessions) as session:
        session.execute(text("SELECT 1"))


def test_scopes_do_not_nest_and_end_with_their_block_even_after_an_exception() -> None:
    with tenant_scope(SYSTEM):
        with pytest.raises(RuntimeError, match="scopes do not nest"), tenant_scope(PLATFORM):
            pass
        assert scopes.current() is SYSTEM
    with pytest.raises(ZeroDivisionError), tenant_scope(PLATFORM):
        raise ZeroDivisionError

    with pytest.raises(NoScope):
        scopes.current()


def test_a_scope_is_set_aside_between_transactions_and_comes_back(house: House) -> None:
    with tenant_scope(client(UUID(int=1))):
        with scopes.set_aside(), scoped_transaction(house.sessions, SYSTEM):
            assert scopes.current() is SYSTEM
        assert scopes.current() == client(UUID(int=1))
        with (
            transaction(house.sessions),
            scopes.set_aside(),
            pytest.raises(RuntimeError, match="transactions do not nest"),
            scoped_transaction(house.sessions, SYSTEM),
        ):
            pass


def test_transactions_do_not_nest(house: House) -> None:
    with (
        tenant_scope(SYSTEM),
        transaction(house.sessions),
        pytest.raises(RuntimeError, match="transactions do not nest"),
        transaction(house.sessions),
    ):
        pass


def test_a_forgotten_where_shows_a_client_nothing_of_another(two: Two, house: House) -> None:
    for tenant in (two.one, two.other):
        found = counts(house, client(tenant.client_id), "client_id", tenant.client_id)

        assert {name for name, (_own, foreign) in found.items() if foreign} == set()
        assert {name for name, (own, _foreign) in found.items() if not own} == WITHOUT_CLIENT_ROWS


def test_a_forgotten_where_shows_an_agency_nothing_of_another(two: Two, house: House) -> None:
    found = counts(house, agency(two.one.agency_id), "agency_id", two.one.agency_id)

    assert {name for name, (_own, foreign) in found.items() if foreign} == set()
    assert {name for name, (own, _foreign) in found.items() if not own} == set()


def test_the_platform_and_the_system_see_both(two: Two, house: House) -> None:
    for scope in (PLATFORM, SYSTEM):
        found = counts(house, scope, "agency_id", two.one.agency_id)

        assert {name for name, (own, foreign) in found.items() if not (own and foreign)} == set()


@pytest.mark.parametrize("column", ["client_id", "agency_id"])
def test_a_row_cannot_be_written_into_another_tenant(two: Two, house: House, column: str) -> None:
    mine, theirs = two.one, two.other
    scope = client(mine.client_id) if column == "client_id" else agency(mine.agency_id)
    other = theirs.client_id if column == "client_id" else theirs.agency_id
    hidden = BY_COLUMN | (WITHOUT_CLIENT_ROWS if column == "client_id" else set())
    tables = [n for n in TENANT if n not in hidden]

    answers = {name: _write_elsewhere(house, scope, name, column, other) for name in tables}

    assert answers == dict.fromkeys(tables, "InsufficientPrivilege")


def _write_elsewhere(
    house: House, scope: scopes.Scope, table: str, column: str, other: UUID
) -> str:
    """Copy one of the tenant's own rows into another tenant."""
    statement = text(
        f"INSERT INTO {table} OVERRIDING USER VALUE SELECT copy.* FROM "
        f"(SELECT to_jsonb(own) AS row FROM {table} own LIMIT 1) one, "
        f"jsonb_populate_record(NULL::{table}, one.row || jsonb_build_object(CAST(:column AS text), CAST(:other AS text))) copy"
    )
    try:
        with scoped_transaction(house.sessions, scope) as session:
            session.execute(statement, {"column": column, "other": str(other)})
    except ProgrammingError as error:
        return type(error.orig).__name__
    return "written"


def test_a_row_cannot_be_moved_into_another_tenant(two: Two, house: House) -> None:
    hidden = APPENDED_ONLY | ONLY_READ | BY_COLUMN | WITHOUT_CLIENT_ROWS | HELD_BY_TRIGGER
    for name in sorted(set(TENANT) - hidden):
        with (
            pytest.raises(ProgrammingError, match="row-level security"),
            scoped_transaction(house.sessions, client(two.one.client_id)) as session,
        ):
            session.execute(
                text(f"UPDATE {name} SET client_id = :other"), {"other": two.other.client_id}
            )


def test_a_coupon_stays_its_tenants(two: Two, house: House) -> None:
    with (
        pytest.raises(IntegrityError, match="a coupon keeps its code and its past"),
        scoped_transaction(house.sessions, client(two.one.client_id)) as session,
    ):
        session.execute(
            text("UPDATE coupons SET client_id = :other"), {"other": two.other.client_id}
        )


def test_rows_of_another_tenant_are_not_there_to_be_changed(two: Two, house: House) -> None:
    with scoped_transaction(house.sessions, client(two.one.client_id)) as session:
        changed = {
            name: session.execute(
                text(f"UPDATE {name} SET agency_id = agency_id WHERE client_id = :other"),
                {"other": two.other.client_id},
            ).rowcount
            for name in sorted(set(TENANT) - APPENDED_ONLY - ONLY_READ - BY_COLUMN)
        }

    assert set(changed.values()) == {0}


@pytest.mark.parametrize("role", [ScopeRole.CLIENT, ScopeRole.AGENCY])
def test_a_role_without_its_tenant_sees_no_row(two: Two, database: Database, role: str) -> None:
    with psycopg.connect(database.urls["largesse_web"]) as connection:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
        seen = {
            name: connection.execute(
                sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name))
            ).fetchone()
            for name in [*TENANT, "cards", "card_pools"]
        }

    assert set(seen.values()) == {(0,)}


def test_nothing_of_a_scope_is_left_on_its_connection(two: Two, database: Database) -> None:
    engine = create_database_engine(database.urls["largesse_web"], pool_size=1)
    sessions: Sessions = sessions_of(engine)
    look = text(
        "SELECT pg_backend_pid(), current_user, current_setting('app.client_id', true), "
        "current_setting('app.agency_id', true)"
    )
    with scoped_transaction(sessions, client(two.one.client_id)) as session:
        pid, *inside = session.execute(look).one()
    with engine.connect() as connection:
        same, *between = connection.execute(look).one()
        with pytest.raises(ProgrammingError, match="permission denied"):
            connection.execute(text("SELECT count(*) FROM jobs"))
    with scoped_transaction(sessions, agency(two.other.agency_id)) as session:
        also_same, *after = session.execute(look).one()
    engine.dispose()

    assert {pid, same, also_same} == {pid}
    assert inside == ["largesse_client", str(two.one.client_id), ""]
    assert between == ["largesse_web", "", ""]
    assert after == ["largesse_agency", "", str(two.other.agency_id)]


def test_a_rolled_back_transaction_leaves_nothing_either(two: Two, database: Database) -> None:
    engine = create_database_engine(database.urls["largesse_web"], pool_size=1)
    sessions = sessions_of(engine)
    scope = client(two.one.client_id)
    with pytest.raises(ZeroDivisionError), scoped_transaction(sessions, scope) as session:
        session.execute(text("SELECT 1"))
        raise ZeroDivisionError
    with engine.connect() as connection:
        left = connection.execute(text("SELECT current_user, current_setting('app.client_id')"))
        found = tuple(left.one())
    engine.dispose()

    assert found == ("largesse_web", "")


@pytest.mark.parametrize("login", sorted(set(LOGINS) - {OWNER}))
def test_logins_own_nothing_and_see_nothing_by_themselves(
    two: Two, house: House, database: Database, login: str
) -> None:
    owned = rows(
        house,
        "SELECT rolname, c.relname, p.proname FROM pg_roles r "
        "LEFT JOIN pg_class c ON c.relowner = r.oid LEFT JOIN pg_proc p ON p.proowner = r.oid "
        "WHERE rolname = :login AND (rolsuper OR rolbypassrls "
        "OR c.relname IS NOT NULL OR p.proname IS NOT NULL)",
        login=login,
    )
    with psycopg.connect(database.urls[login], autocommit=True) as connection:
        seen = {name: _look(connection, name) for name in CLASSES}

    assert owned == []
    # The system and the reader have their own grants; neither is a tenant's way in.
    own = login not in {"largesse_web", "largesse_worker"}
    assert (seen["jobs"] == "seen") if own else set(seen.values()) == {"permission denied"}


def _look(connection: psycopg.Connection, table: str) -> str:
    try:
        connection.execute(sql.SQL("SELECT FROM {} LIMIT 1").format(sql.Identifier(table)))
    except psycopg.errors.InsufficientPrivilege:
        return "permission denied"
    return "seen"


_TABLES = """
SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity,
    (SELECT array_agg(p.policyname::text) FROM pg_policies p WHERE p.tablename = relname) AS policies
FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
"""
