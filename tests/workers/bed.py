"""Chunks that sleep inside their transaction until they are woken, or cut."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from ops.bootstrap import database_url
from tests.conftest import Database

#: Chunks sleep inside their transaction while the row of `bed` is there.
_MADE = """
CREATE TABLE bed AS SELECT 1 AS made;
GRANT SELECT ON bed TO PUBLIC;
CREATE FUNCTION lie() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  WHILE EXISTS (SELECT FROM bed) LOOP PERFORM pg_sleep(0.02); END LOOP;
  RETURN NULL;
END $$;
CREATE TRIGGER lie BEFORE INSERT ON provisions FOR EACH STATEMENT EXECUTE FUNCTION lie();
"""
_AWAKE = "CREATE TABLE IF NOT EXISTS bed (made INTEGER); DELETE FROM bed"
_UNMADE = "DROP FUNCTION IF EXISTS lie CASCADE; DROP TABLE IF EXISTS bed"
_ASLEEP = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = %s"


class Bed:
    """Makes every chunk of the test's database sleep inside its transaction, and wakes it."""

    def __init__(self, database: Database) -> None:
        self._name = database.name
        self._url = database_url(database.admin_url, database.name)

    def make(self) -> None:
        self.run(_MADE)

    def wake(self) -> None:
        self.run(_AWAKE)

    def is_slept_in(self) -> bool:
        with psycopg.connect(self._url) as connection:
            return connection.execute(_ASLEEP, [self._name]).fetchone() is not None

    def run(self, statements: str) -> None:
        with psycopg.connect(self._url) as connection:
            connection.execute(statements.encode())


@contextmanager
def a_bed(database: Database) -> Iterator[Bed]:
    """Not made yet; whoever still sleeps at the end is woken."""
    bed = Bed(database)
    yield bed
    bed.wake()
    bed.run(_UNMADE)
