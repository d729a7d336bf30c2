"""Roles hold only the rights they were given, on a fresh server and after repeating the bootstrap."""

import secrets

import psycopg
import pytest

from ops.bootstrap import LOGINS, ROLES, database_url, drop_database, ensure_database, role_url
from ops.embedded import role_passwords
from tests.ops.conftest import TEMPLATE

REFUSED = (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)
SCOPES = ("largesse_agency", "largesse_client", "largesse_platform")


def admin(database) -> psycopg.Connection:
    url = database_url(database.admin_url, database.name)
    return psycopg.connect(url, autocommit=True)


def test_no_role_is_more_than_an_ordinary_login_or_scope(database):
    with admin(database) as connection:
        rows = connection.execute(
            """SELECT rolname, rolcanlogin, rolsuper, rolbypassrls, rolcreatedb, rolcreaterole,
                      rolreplication
               FROM pg_roles WHERE rolname LIKE 'largesse%' ORDER BY rolname"""
        ).fetchall()

    assert rows == [(role, role in LOGINS, *(False,) * 5) for role in sorted(ROLES)]


def test_memberships_are_never_inherited(database):
    with admin(database) as connection:
        rows = connection.execute(
            """SELECT m.member::regrole::text, m.roleid::regrole::text, inherit_option,
                      set_option, admin_option
               FROM pg_auth_members m WHERE m.roleid::regrole::text LIKE 'largesse%'"""
        ).fetchall()

    every_scope = (*SCOPES, "largesse_system")
    expected = {
        *(("largesse_web", scope, False, True, False) for scope in every_scope),
        *(("largesse_worker", scope, False, True, False) for scope in every_scope),
        *(("largesse_system", scope, False, True, False) for scope in SCOPES),
    }
    assert set(rows) == expected
    assert len(rows) == len(expected)


@pytest.mark.parametrize(
    ("login", "timeouts", "read_only"),
    [
        ("largesse_owner", ("0", "5s", "0", "0"), "off"),
        ("largesse_web", ("15s", "2s", "10s", "10000"), "off"),
        ("largesse_worker", ("1min", "2s", "10s", "10000"), "off"),
        ("largesse_system", ("1min", "2s", "10s", "10000"), "off"),
        ("largesse_readonly", ("30s", "2s", "10s", "10000"), "on"),
    ],
)
def test_each_login_connects_with_its_own_limits(database, login, timeouts, read_only):
    with database.connect(login) as connection:
        row = connection.execute(
            """SELECT session_user::text, current_setting('statement_timeout'),
                      current_setting('lock_timeout'),
                      current_setting('idle_in_transaction_session_timeout'),
                      current_setting('tcp_user_timeout'),
                      current_setting('default_transaction_read_only'),
                      current_setting('search_path')"""
        ).fetchone()

    assert row == (login, *timeouts, read_only, "public")


@pytest.mark.parametrize("login", ["web", "worker", "system", "readonly"])
def test_a_client_that_the_network_cut_off_does_not_keep_its_locks_for_hours(database, login):
    """In the middle of a statement a session is not idle: only keepalives end it."""
    with database.connect(f"largesse_{login}") as connection:
        row = connection.execute(
            """SELECT current_setting('tcp_keepalives_idle'),
                      current_setting('tcp_keepalives_interval'),
                      current_setting('tcp_keepalives_count')"""
        ).fetchone()

    assert row == ("5", "2", "3")


def test_only_the_owner_can_make_tables(database):
    with database.connect("largesse_owner") as connection:
        connection.execute("CREATE TABLE coupon (id int)")
    for login in LOGINS[1:]:
        with database.connect(login) as connection, pytest.raises(REFUSED):
            connection.execute("CREATE TABLE mine (id int)")

    with admin(database) as connection:
        owners = connection.execute(
            "SELECT relname, relowner::regrole::text FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace"
        ).fetchall()
    assert owners == [("coupon", "largesse_owner")]


def test_a_login_sees_nothing_before_it_takes_a_scope(database):
    with database.connect("largesse_owner") as connection:
        connection.execute("CREATE TABLE coupon AS SELECT 7 AS id")
        connection.execute("GRANT SELECT ON coupon TO largesse_client")

    for login in ("largesse_web", "largesse_worker", "largesse_system"):
        with database.connect(login) as connection:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("SELECT id FROM coupon")
            with connection.transaction():
                connection.execute("SET LOCAL ROLE largesse_client")
                assert connection.execute("SELECT id FROM coupon").fetchall() == [(7,)]


@pytest.mark.parametrize(
    ("login", "role"),
    [
        *((login, "largesse_owner") for login in LOGINS[1:]),
        *((login, "postgres") for login in LOGINS),
        *((login, "largesse_client") for login in ("largesse_owner", "largesse_readonly")),
        ("largesse_system", "largesse_web"),
    ],
)
def test_a_login_cannot_become_what_it_may_not(database, login, role):
    with database.connect(login) as connection, pytest.raises(REFUSED):
        connection.execute(f"SET ROLE {role}")


@pytest.mark.parametrize("role", [*SCOPES, "largesse_system"])
def test_copy_into_a_temporary_table_works_in_every_scope(database, role):
    with database.connect("largesse_worker") as connection, connection.transaction():
        connection.execute(f"SET LOCAL ROLE {role}")
        connection.execute("CREATE TEMPORARY TABLE rows (number int) ON COMMIT DROP")
        with connection.cursor() as cursor:
            with cursor.copy("COPY rows FROM STDIN") as copy:
                copy.write_row((7,))
            assert cursor.execute("SELECT number FROM rows").fetchall() == [(7,)]


def test_the_reader_cannot_write_even_when_it_switches_its_guard_off(database):
    with database.connect("largesse_owner") as connection:
        connection.execute("CREATE TABLE coupon (id int)")
        connection.execute("GRANT SELECT ON coupon TO largesse_readonly")

    with database.connect("largesse_readonly") as connection:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("CREATE TEMPORARY TABLE mine (id int)")
        connection.execute("SET default_transaction_read_only = off")
        for statement in ("INSERT INTO coupon VALUES (1)", "CREATE TEMPORARY TABLE mine (id int)"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def test_a_stranger_cannot_connect_to_our_database(database):
    stranger = f"stranger_{secrets.token_hex(4)}"
    with admin(database) as connection:
        connection.execute(f"CREATE ROLE {stranger} LOGIN PASSWORD 'strange'")
        url = role_url(database.admin_url, stranger, "strange", database.name)

        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(url)

        connection.execute(f"DROP ROLE {stranger}")


def test_repeating_the_bootstrap_mends_rights_and_keeps_data(database, stack):
    with database.connect("largesse_owner") as connection:
        connection.execute("CREATE TABLE coupon AS SELECT 7 AS id")
    with admin(database) as connection:
        connection.execute("ALTER ROLE largesse_readonly BYPASSRLS CREATEDB")
        connection.execute("GRANT largesse_client TO largesse_web WITH INHERIT TRUE")
        connection.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
    passwords = role_passwords(stack.home)

    ensure_database(database.admin_url, database=database.name, passwords=passwords)

    with admin(database) as connection:
        state = connection.execute(
            """SELECT bool_or(rolbypassrls OR rolcreatedb),
                      pg_has_role('largesse_web', 'largesse_client', 'USAGE'),
                      has_schema_privilege('largesse_web', 'public', 'CREATE'),
                      (SELECT id FROM coupon)
               FROM pg_roles WHERE rolname = 'largesse_readonly'"""
        ).fetchone()
    assert state == (False, False, False, 7)


def test_a_copy_of_the_template_is_as_closed_as_the_template(database):
    with admin(database) as connection:
        rows = connection.execute(
            """SELECT datdba::regrole::text, has_database_privilege('public', datname, 'CONNECT'),
                      has_database_privilege('public', datname, 'TEMPORARY')
               FROM pg_database WHERE datname IN (%s, %s)""",
            [database.name, TEMPLATE],
        ).fetchall()

    assert rows == [("largesse_owner", False, False)] * 2


def test_a_password_for_a_role_that_is_no_login_is_refused(database):
    with pytest.raises(ValueError, match="largesse_client"):
        ensure_database(
            database.admin_url, database=database.name, passwords={"largesse_client": "x"}
        )


def test_dropping_a_database_ends_its_connections_and_may_be_repeated(database):
    connection = database.connect("largesse_web")

    drop_database(database.admin_url, database.name)
    drop_database(database.admin_url, database.name)

    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    connection.close()


def test_the_servers_log_knows_no_password_and_no_value_of_a_failed_statement(database, stack):
    with database.connect("largesse_owner") as connection:
        connection.execute("CREATE TABLE card (pin text PRIMARY KEY)")
        connection.execute("INSERT INTO card VALUES ('81234567')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO card VALUES ('81234567')")

    log = stack.home.log_path("postgres").read_text()
    passwords = role_passwords(stack.home)

    assert "database system is ready to accept connections" in log
    assert "duplicate key" not in log
    assert "81234567" not in log
    assert [login for login, password in passwords.items() if password in log] == []


@pytest.mark.parametrize(
    ("admin_url", "expected"),
    [
        ("postgresql://postgres:x@db:5432/postgres", "postgresql://web:p%40%2F@db:5432/shop"),
        ("postgresql://postgres@[::1]:5432/", "postgresql://web:p%40%2F@[::1]:5432/shop"),
        (
            "postgresql+psycopg://a:b@db/postgres?sslmode=require",
            "postgresql+psycopg://web:p%40%2F@db/shop?sslmode=require",
        ),
    ],
)
def test_the_address_of_a_role_keeps_server_and_options(admin_url, expected):
    assert role_url(admin_url, "web", "p@/", "shop") == expected
