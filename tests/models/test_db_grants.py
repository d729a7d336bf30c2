"""SEC-13: what each role may do with each table: what the catalogue says, and what is really refused.

A new table must be classified here; until it is, these tests fail.
"""

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from models.tables import CLASSES, metadata
from ops.bootstrap import LOGINS, MAY_BECOME, OWNER, SYSTEM
from tests.conftest import Database
from tests.models.db_rights import AT_WORK, COLUMNS, RIGHTS

VERBS = {
    "S": "SELECT",
    "I": "INSERT",
    "U": "UPDATE",
    "D": "DELETE",
    "T": "TRUNCATE",
    "R": "REFERENCES",
    "G": "TRIGGER",
    "M": "MAINTAIN",
}
READONLY = "largesse_readonly"
#: What proves who somebody is: not even who may read everything may read these.
CREDENTIALS = {
    "api_keys": "key_hash",
    "authenticators": "secret_sealed",
    "invitations": "token_hash",
    "outgoing_mails": "sealed_letter",
    "partner_secrets": "secret_sealed",
    "password_resets": "token_hash",
    "recovery_codes": "code_hash",
    "registrations": "token_hash",
    "sign_ins": "token_hash",
    "users": "password_hash",
    "vendor_tokens": "token_sealed",
    "widget_sessions": "token_hash",
}
APPENDED_ONLY = ("audit_entries", "postings", "transfers")

_GRANTED = """
SELECT c.relname, coalesce(string_agg(v.letter, '' ORDER BY v.place), '-') FROM pg_class c
LEFT JOIN unnest(%(letters)s::text[], %(verbs)s::text[]) WITH ORDINALITY v (letter, verb, place)
    ON has_table_privilege(%(role)s, c.oid, v.verb)
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
    AND c.relname <> 'alembic_version'
GROUP BY c.relname ORDER BY c.relname
"""
_COLUMNS = """
SELECT r.rolname, c.relname, v.verb, array_agg(a.attname::text)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
CROSS JOIN pg_roles r CROSS JOIN unnest(%(verbs)s::text[]) v (verb)
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
    AND r.rolname = ANY (%(roles)s)
    AND has_column_privilege(r.oid, c.oid, a.attnum, v.verb)
    AND NOT has_table_privilege(r.oid, c.oid, v.verb)
GROUP BY r.rolname, c.relname, v.verb
"""


def granted(database: Database, role: str) -> dict[str, str]:
    """Letters of the verbs a role may use, by table; the verbs of an older server are fewer."""
    values = {"letters": list(VERBS), "verbs": list(VERBS.values()), "role": role}
    with psycopg.connect(database.urls[OWNER]) as connection:
        return dict(connection.execute(_GRANTED, values).fetchall())


def refused(database: Database, login: str, role: str | None, statement: str) -> bool:
    """Whether the server refuses a statement for want of rights; nothing is kept of it."""
    with psycopg.connect(database.urls[login]) as connection:
        return refused_on(connection, role, statement)


def refused_on(connection: psycopg.Connection, role: str | None, statement: str) -> bool:
    """As `refused`, on a connection of the login; the role ends with the transaction."""
    try:
        connection.execute("SET TRANSACTION READ WRITE")
        if role is not None:
            connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
        connection.execute(statement.encode())
    except InsufficientPrivilege:
        return True
    finally:
        connection.rollback()
    return False


def test_sec013_every_table_is_classified() -> None:
    """SEC-13: by hand, so that somebody has thought about it."""
    assert set(RIGHTS) == set(CLASSES)


@pytest.mark.parametrize("role", AT_WORK)
def test_sec013_a_role_has_exactly_these_rights(database: Database, role: str) -> None:
    """SEC-13: no more, and no fewer."""
    place = AT_WORK.index(role)

    assert granted(database, role) == {name: said.split()[place] for name, said in RIGHTS.items()}


@pytest.mark.parametrize("login", ["largesse_web", "largesse_worker"])
def test_sec013_a_login_has_no_right_before_it_takes_a_role(database: Database, login: str) -> None:
    assert set(granted(database, login).values()) == {"-"}


def test_sec013_who_reads_everything_changes_nothing_and_reads_no_credential(
    database: Database,
) -> None:
    found = granted(database, READONLY)

    assert {name for name, letters in found.items() if letters != "S"} == set(CREDENTIALS)
    for table, column in CREDENTIALS.items():
        assert refused(database, READONLY, None, f"SELECT {column} FROM {table}")
        assert refused(database, READONLY, None, f"SELECT * FROM {table}")
        key = "id" if "id" in metadata().tables[table].c else "user_id"
        assert not refused(database, READONLY, None, f"SELECT {key} FROM {table}")


def test_sec013_rights_on_columns_are_these_alone(database: Database) -> None:
    values = {"verbs": ["SELECT", "INSERT", "UPDATE"], "roles": list(AT_WORK)}
    with psycopg.connect(database.urls[OWNER]) as connection:
        found = connection.execute(_COLUMNS, values).fetchall()

    assert {(role, table, verb): set(names) for role, table, verb, names in found} == COLUMNS


def _forbidden(letters: str, table: str, column: str) -> list[str]:
    """Statements of the verbs that are not among the letters."""
    statements = {
        "S": f"SELECT FROM {table}",
        "U": f"UPDATE {table} SET {column} = {column}",
        "D": f"DELETE FROM {table}",
        "T": f"TRUNCATE {table}",
    }
    return [statement for letter, statement in statements.items() if letter not in letters]


@pytest.mark.parametrize("login", ["largesse_web", "largesse_worker", SYSTEM])
def test_sec013_each_forbidden_verb_is_refused_in_each_role(database: Database, login: str) -> None:
    """SEC-13: as the processes connect, in every role that they may take."""
    roles = [role for role in AT_WORK if role in MAY_BECOME[login] or role == login]
    columns = _first_columns(database)
    forbidden = [
        (role, statement)
        for role in roles
        for table, said in RIGHTS.items()
        for statement in _forbidden(said.split()[AT_WORK.index(role)], table, columns[table])
        if not (statement.startswith("SELECT") and (role, table, "SELECT") in COLUMNS)
    ]
    with psycopg.connect(database.urls[login]) as connection:
        done = [each for each in forbidden if not refused_on(connection, *each)]

    assert done == []


def _first_columns(database: Database) -> dict[str, str]:
    """A column of each table that no right on single columns names."""
    with psycopg.connect(database.urls[OWNER]) as connection:
        return dict(
            connection.execute(
                "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a "
                "ON a.attrelid = c.oid AND a.attnum = 1 "
                "WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'"
            ).fetchall()
        )


@pytest.mark.parametrize("table", APPENDED_ONLY)
@pytest.mark.parametrize("verb", ["UPDATE {} SET id = id", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_sec013_not_even_the_owner_changes_what_is_written_once(
    database: Database, table: str, verb: str
) -> None:
    """SEC-13: the owner has the right, and a trigger; row security hides the rows besides."""
    statement = verb.format(table)
    with psycopg.connect(database.urls[OWNER]) as connection:
        if verb.startswith("TRUNCATE"):
            with pytest.raises(psycopg.errors.RestrictViolation):
                connection.execute(statement.encode())
        else:
            assert connection.execute(statement.encode()).rowcount == 0
        connection.rollback()


@pytest.mark.parametrize("login", sorted(set(LOGINS) - {OWNER}))
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (id integer)",
        "CREATE SCHEMA mine",
        "CREATE FUNCTION mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "ALTER TABLE jobs ADD COLUMN mine integer",
        "ALTER TABLE jobs DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE transfers DISABLE TRIGGER transfers_immutable",
        "CREATE POLICY mine ON jobs USING (true)",
        "DROP POLICY client ON jobs",
        "DROP TABLE audit_entries",
        "CREATE INDEX mine ON jobs (id)",
        "SET ROLE largesse_owner",
        "SET ROLE postgres",
        "SET SESSION AUTHORIZATION largesse_owner",
        "SET session_replication_role = replica",
        "GRANT largesse_owner TO CURRENT_USER",
        "ALTER ROLE CURRENT_USER BYPASSRLS",
        "CREATE ROLE mine",
        "SELECT pg_read_file('postgresql.conf')",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT rolpassword FROM pg_authid",
        "SELECT admit_key_versions(ARRAY[9])",
        "SELECT pg_reload_conf()",
    ],
)
def test_sec013_no_login_has_a_way_up(database: Database, login: str, statement: str) -> None:
    """SEC-13: no DDL, no other role, no file, no password."""
    assert refused(database, login, None, statement), statement


def test_sec013_a_duty_s_login_takes_no_role_of_the_web(database: Database) -> None:
    """SEC-13: the reader becomes nobody else."""
    for role in AT_WORK:
        assert refused(database, READONLY, None, f"SET ROLE {role}")
