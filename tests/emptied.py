"""One database for many tests, emptied before each: a copy for every test costs most of its time."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from models.tables import CLASSES
from ops.bootstrap import create_from_template, database_url, drop_database
from ops.embedded import role_urls
from tests import canary
from tests.conftest import TEMPLATE, Database, Ground


@contextmanager
def own_database(ground: Ground) -> Iterator[Database]:
    """A migrated database that lives as long as the block."""
    admin_url, name = ground.servers.admin_url, f"largesse_{secrets.token_hex(6)}"
    create_from_template(admin_url, TEMPLATE, name)
    made = Database(name, admin_url, role_urls(ground.home, admin_url, name))
    yield made
    found = canary.in_database(database_url(admin_url, name))
    drop_database(admin_url, name)
    canary.refuse(found)


def emptied(database: Database) -> Iterator[Database]:
    """The shared database without a row, for one test, which leaves no secret in it."""
    empty(database)
    yield database
    canary.refuse(canary.in_database(database_url(database.admin_url, database.name)))


def empty(database: Database) -> None:
    """Remove every row; triggers and foreign keys sleep, or the ledger would refuse."""
    with psycopg.connect(database_url(database.admin_url, database.name)) as connection:
        connection.execute("SET session_replication_role = replica")
        for name in CLASSES:
            connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(name)))
