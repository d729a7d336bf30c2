"""Make the database and its roles on a PostgreSQL server; run as superuser, safe to repeat.

Roles and rights:

  login              owns     may SET ROLE to
  largesse_owner     schema   -                                   (migrations only)
  largesse_web       nothing  platform, agency, client, system
  largesse_worker    nothing  platform, agency, client, system
  largesse_system    nothing  platform, agency, client            (duties name their tables)
  largesse_readonly  nothing  -

None is superuser or passes by row level security, and no right of a scope role is inherited:
nothing is visible before SET ROLE.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

OWNER = "largesse_owner"
SYSTEM = "largesse_system"
LOGINS = (OWNER, "largesse_web", "largesse_worker", SYSTEM, "largesse_readonly")
SCOPES = ("largesse_platform", "largesse_agency", "largesse_client")
ROLES = LOGINS + SCOPES

#: Which roles a login may take on; never inherited.
MAY_BECOME: Mapping[str, tuple[str, ...]] = {
    "largesse_web": (*SCOPES, SYSTEM),
    "largesse_worker": (*SCOPES, SYSTEM),
    SYSTEM: SCOPES,
}
#: COPY into a temporary table is checked against the role that is set.
MAY_MAKE_TEMPORARY = ("largesse_web", "largesse_worker", SYSTEM, *SCOPES)

#: A client that the network cut off in the middle of a statement is not idle for PostgreSQL, which
#: waits for the rest of it with all its locks: keepalives end that within some 11 seconds.
_CAUTIOUS = {
    "search_path": "public",
    "idle_in_transaction_session_timeout": "10s",
    "lock_timeout": "2s",
    "tcp_user_timeout": "10s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
#: Settings take hold when the login connects; SET ROLE leaves them as they are.
ROLE_SETTINGS: Mapping[str, Mapping[str, str]] = {
    OWNER: {"search_path": "public", "lock_timeout": "5s", "statement_timeout": "0"},
    "largesse_web": {**_CAUTIOUS, "statement_timeout": "15s"},
    "largesse_worker": {**_CAUTIOUS, "statement_timeout": "60s"},
    SYSTEM: {**_CAUTIOUS, "statement_timeout": "60s"},
    "largesse_readonly": {
        **_CAUTIOUS,
        "statement_timeout": "30s",
        "default_transaction_read_only": "on",
    },
}

#: Two bootstraps at once would trip over each other's catalogue rows.
_BOOTSTRAP_LOCK = 7_170_423_018

_Connection = psycopg.Connection[tuple[object, ...]]


def ensure_database(admin_url: str, *, database: str, passwords: Mapping[str, str]) -> None:
    """Bring roles, database and schema rights to the state described above.

    `passwords` maps logins to passwords; a login left out keeps the one it has.
    """
    if strangers := set(passwords) - set(LOGINS):
        raise ValueError(f"passwords for roles that are not logins: {sorted(strangers)}")
    with _connect(admin_url) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [_BOOTSTRAP_LOCK])
        for role in ROLES:
            _ensure_role(connection, role)
        for login, password in passwords.items():
            _set_password(connection, login, password)
        _ensure_memberships(connection)
        _ensure_role_settings(connection)
        _create_unless_there(connection, database)
        _grant_database(connection, database)
        with _connect(database_url(admin_url, database)) as inside:
            _ensure_schema(inside)


def create_from_template(admin_url: str, template: str, name: str) -> None:
    """A new database with the content of `template`, which nobody may be connected to."""
    # Its files are copied, which is quicker than writing each page to the log.
    statement = "CREATE DATABASE {} TEMPLATE {} OWNER {} STRATEGY file_copy"
    with _connect(admin_url) as connection:
        _execute(connection, statement, name, template, OWNER)
        # A copy has the schema's rights, not the database's.
        _grant_database(connection, name)


def drop_database(admin_url: str, name: str) -> None:
    """Remove a database and whoever is connected to it; absent is fine."""
    with _connect(admin_url) as connection:
        _execute(connection, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


def role_url(admin_url: str, role: str, password: str, database: str) -> str:
    """The address of `database` on the server of `admin_url` for one login."""
    parts = urlsplit(admin_url)
    host = parts.netloc.rpartition("@")[2]
    who = f"{quote(role, safe='')}:{quote(password, safe='')}"
    return urlunsplit(parts._replace(netloc=f"{who}@{host}", path=f"/{quote(database, safe='')}"))


def database_url(url: str, database: str) -> str:
    """The same server and login, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{quote(database, safe='')}"))


@contextmanager
def _connect(url: str) -> Iterator[_Connection]:
    plain = url.replace("postgresql+psycopg://", "postgresql://", 1)
    with psycopg.connect(plain, autocommit=True, connect_timeout=5) as connection:
        yield connection


def _execute(connection: _Connection, statement: str, *names: str | sql.Composable) -> None:
    """Run a statement whose `{}` are names (quoted as identifiers) or ready parts."""
    parts = [n if isinstance(n, sql.Composable) else sql.Identifier(n) for n in names]
    connection.execute(sql.SQL(statement).format(*parts))


def _names(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in names)


def _ensure_role(connection: _Connection, role: str) -> None:
    """Create the role, or take from it every attribute that it must not have."""
    login = role in LOGINS
    right = connection.execute(
        """SELECT rolcanlogin = %s AND NOT (rolsuper OR rolbypassrls OR rolcreatedb
                  OR rolcreaterole OR rolreplication)
           FROM pg_roles WHERE rolname = %s""",
        [login, role],
    ).fetchone()
    if right is None:
        _execute(connection, "CREATE ROLE {}", role)
    if right != (True,):
        attributes = "NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION"
        kind = "LOGIN" if login else "NOLOGIN"
        _execute(connection, f"ALTER ROLE {{}} {kind} {attributes}", role)


def _set_password(connection: _Connection, login: str, password: str) -> None:
    """Send the SCRAM verifier, so that the server never sees or logs the password."""
    verifier = connection.pgconn.encrypt_password(
        password.encode(), login.encode(), b"scram-sha-256"
    ).decode()
    _execute(connection, "ALTER ROLE {} PASSWORD {}", login, sql.Literal(verifier))


def _ensure_memberships(connection: _Connection) -> None:
    for login, scopes in MAY_BECOME.items():
        statement = "GRANT {} TO {} WITH INHERIT FALSE, SET TRUE"
        _execute(connection, statement, _names(scopes), login)


def _ensure_role_settings(connection: _Connection) -> None:
    for login, settings in ROLE_SETTINGS.items():
        for setting, value in settings.items():
            _execute(connection, "ALTER ROLE {} SET {} = {}", login, setting, sql.Literal(value))


def _create_unless_there(connection: _Connection, database: str) -> None:
    """Text sorts by code point on every machine: the server's own locales play no part."""
    known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database])
    if known.fetchone() is None:
        _execute(
            connection,
            """CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8'
               LOCALE 'C' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'""",
            database,
            OWNER,
        )


def _grant_database(connection: _Connection, database: str) -> None:
    _execute(connection, "ALTER DATABASE {} OWNER TO {}", database, OWNER)
    _execute(connection, "REVOKE ALL ON DATABASE {} FROM PUBLIC", database)
    _execute(connection, "GRANT CONNECT ON DATABASE {} TO {}", database, _names(LOGINS))
    _execute(
        connection,
        "GRANT TEMPORARY ON DATABASE {} TO {}",
        database,
        _names(MAY_MAKE_TEMPORARY),
    )


def _ensure_schema(connection: _Connection) -> None:
    others = [role for role in ROLES if role != OWNER]
    _execute(connection, "ALTER SCHEMA public OWNER TO {}", OWNER)
    _execute(connection, "REVOKE ALL ON SCHEMA public FROM PUBLIC")
    _execute(connection, "GRANT USAGE ON SCHEMA public TO {}", _names(others))
