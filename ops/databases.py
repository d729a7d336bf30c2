"""Bring a stack's database to the newest schema: on embedded servers, or on ones that were given."""

from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

import psycopg
from sqlalchemy.exc import IntegrityError

from models.schema import MigrationRunning, migrate
from ops.bootstrap import LOGINS, OWNER, database_url, ensure_database
from ops.embedded import role_passwords, role_urls
from ops.home import Home
from ops.surroundings import DATABASE_NAME, URL_VARIABLES
from pipelines.boot import CONNECTIONS_ALLOWED
from pipelines.errors import Kind, Refusal


class RolesOutOfReach(Refusal):
    """The login that was given may not make the product's roles."""

    code = "roles_out_of_reach"
    kind = Kind.FORBIDDEN


class DatabaseUnreachable(Refusal):
    """The database that was named does not answer, or not to this login."""

    code = "database_unreachable"


class DatabaseNotNamed(Refusal):
    """No address of a database was given."""

    code = "database_not_named"
    kind = Kind.MALFORMED


class SchemaBusy(Refusal):
    """Somebody else migrates the database."""

    code = "schema_busy"
    kind = Kind.CONFLICT
    detail = "Another migration of this database is running. Wait until it has ended."


class RowsInTheWay(Refusal):
    """Stored rows break a rule of the new schema."""

    code = "rows_in_the_way"
    kind = Kind.CONFLICT


class TooFewConnections(Refusal):
    """The processes' pools together are larger than what the server allows."""

    code = "too_few_connections"


def given_urls(environment: Mapping[str, str]) -> dict[str, str]:
    """The addresses by login that the environment names itself."""
    return {
        login: environment[variable]
        for variable, login in URL_VARIABLES.items()
        if environment.get(variable)
    }


def prepare_given(
    home: Home, environment: Mapping[str, str], *, demo: bool = False
) -> dict[str, str]:
    """Roles (unless all addresses are given), schema; returns the address for each login.

    The passwords of roles made here are kept in `home`. A demo has a database of its own.
    """
    given = given_urls(environment)
    if set(given) == set(LOGINS):
        migrate_as_owner(given[OWNER])
        return given
    if not environment.get("DATABASE_URL"):
        missing = ", ".join(n for n, login in URL_VARIABLES.items() if login not in given)
        raise DatabaseNotNamed(f"Set DATABASE_URL to an administrator's address, or set {missing}.")
    database = database_of(environment["DATABASE_URL"])
    admin_url = _entrance(environment["DATABASE_URL"])
    if demo:
        database += "_demo"
        _drop_idle(admin_url, database)
    return prepare_as_admin(home, admin_url, database) | given


def database_of(url: str) -> str:
    """The database that an address names; the product's own in the place of a server's default."""
    named = unquote(urlsplit(url).path.lstrip("/"))
    return named if named and named != "postgres" else DATABASE_NAME


def prepare_as_admin(home: Home, admin_url: str, database: str = DATABASE_NAME) -> dict[str, str]:
    """Make roles, database and schema with this data folder's passwords."""
    make_roles(admin_url, database, role_passwords(home))
    urls = role_urls(home, admin_url, database)
    migrate_as_owner(urls[OWNER])
    return urls


def make_roles(admin_url: str, database: str, passwords: Mapping[str, str]) -> None:
    """`ensure_database`, with words for a login that may not."""
    try:
        ensure_database(admin_url, database=database, passwords=passwords)
    except psycopg.errors.InsufficientPrivilege:
        raise RolesOutOfReach(
            "The login of DATABASE_URL may not create roles and databases. Use an "
            "administrator's, or have one run `largesse migrate` with DATABASE_ADMIN_URL and "
            f"then set {', '.join(URL_VARIABLES)} instead."
        ) from None
    except psycopg.OperationalError as error:
        raise DatabaseUnreachable(_reason("The administrator's address", error)) from None


def migrate_as_owner(owner_url: str) -> None:
    """Bring the schema to its newest state, with words for an address that does not answer."""
    plain = owner_url.replace("postgresql+psycopg://", "postgresql://", 1)
    try:
        psycopg.connect(plain, connect_timeout=5).close()
    except psycopg.OperationalError as error:
        raise DatabaseUnreachable(_reason("DATABASE_OWNER_URL", error)) from None
    try:
        migrate(plain.replace("postgresql://", "postgresql+psycopg://", 1))
    except MigrationRunning:
        raise SchemaBusy from None
    except IntegrityError as error:
        raise RowsInTheWay(_in_the_way(error.orig)) from None


def _in_the_way(cause: object) -> str:
    """The rule and its table, and no value of a row."""
    seen = cause.diag if isinstance(cause, psycopg.Error) else None
    rule, table = (seen.constraint_name, seen.table_name) if seen else (None, None)
    return (
        f"Rows of {table} break {rule}, which the new schema needs. docs/operations.md (Upgrade) "
        "says how to find them. Mend them and migrate again; until then the old code goes on."
    )


def check_connections(readonly_url: str, needed: int) -> None:
    """Refuse to start processes whose pools do not fit into the server."""
    with psycopg.connect(readonly_url, connect_timeout=5) as connection:
        row = connection.execute(CONNECTIONS_ALLOWED.encode()).fetchone()
    allowed = row[0] if row else 0
    if needed > allowed:
        raise TooFewConnections(
            f"The processes may hold {needed} connections and the database allows {allowed}: "
            "raise max_connections, or lower LARGESSE_<PROCESS>_THREADS."
        )


def passwords_given(environment: Mapping[str, str]) -> dict[str, str]:
    """The passwords that the logins' addresses carry."""
    found = {login: urlsplit(url).password for login, url in given_urls(environment).items()}
    return {login: unquote(password) for login, password in found.items() if password}


def _drop_idle(admin_url: str, database: str) -> None:
    """Forget the last demo's database; one in use stays and is told."""
    try:
        with psycopg.connect(admin_url, autocommit=True, connect_timeout=5) as connection:
            name = psycopg.sql.Identifier(database)
            connection.execute(psycopg.sql.SQL("DROP DATABASE IF EXISTS {}").format(name))
    except psycopg.errors.ObjectInUse:
        raise DatabaseUnreachable(
            f"The database {database} is in use: another demo runs on this server; wait for it."
        ) from None
    except psycopg.errors.InsufficientPrivilege:
        raise RolesOutOfReach(f"The login of DATABASE_URL may not drop {database}.") from None


def _entrance(admin_url: str) -> str:
    """The address itself, or the server's default database while the named one is not there."""
    plain = admin_url.replace("postgresql+psycopg://", "postgresql://", 1)
    default = database_url(plain, "postgres")
    for address in dict.fromkeys((plain, default)):
        try:
            psycopg.connect(address, connect_timeout=5).close()
        except psycopg.OperationalError as error:
            if address == default or "does not exist" not in str(error):
                raise DatabaseUnreachable(_reason("DATABASE_URL", error)) from None
        else:
            return address
    raise AssertionError("the loop answers or raises")


def _reason(what: str, error: psycopg.OperationalError) -> str:
    """The last line of the driver's words, which name host and cause and no password."""
    lines = str(error).strip().splitlines()
    return f"{what} does not answer: {lines[-1] if lines else 'no reason given'}"
