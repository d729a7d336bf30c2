"""The migrations make the database that the models describe, from nothing and step by step."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from click.testing import CliRunner
from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.exc import IntegrityError

from models.schema import MIGRATIONS, migrate, newest_revision, revision_of
from models.tables import metadata
from ops.__main__ import main
from ops.bootstrap import database_url
from ops.databases import SchemaBusy
from tests.conftest import Ground

_SCRIPTS = ScriptDirectory(str(MIGRATIONS))
#: Oldest first: (revision, the one before it).
STEPS = [(s.revision, s.down_revision) for s in reversed(list(_SCRIPTS.walk_revisions()))]

#: They commit before they are stamped: what is large is built or looked at beside running work.
#: Of a few the last part commits with the stamp, and what came before may be done again.
COMMITTING = {
    s.revision for s in _SCRIPTS.walk_revisions() if "autocommit" in Path(s.path).read_text()
} - {"0015", "0019", "0020", "0045"}

_KEPT_STATISTICS = """
SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND NOT a.attisdropped
  AND (a.attname IN ('agency_id', 'client_id', 'campaign_id', 'tenant_id')
       OR (a.attname = 'job_id' AND c.relname IN ('items', 'provisions')))
  AND a.attstattarget IS DISTINCT FROM 0
"""


@pytest.fixture
def engine(empty: str) -> Iterator[Engine]:
    made = create_engine(empty.replace("postgresql://", "postgresql+psycopg://", 1))
    yield made
    made.dispose()


def differences(engine: Engine) -> list[object]:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, metadata())


def test_an_empty_database_becomes_what_the_models_say(empty: str, engine: Engine) -> None:
    migrate(empty)

    assert differences(engine) == []
    assert revision_of(engine) == newest_revision() == STEPS[-1][0]


def test_migrating_twice_changes_nothing(empty: str, engine: Engine) -> None:
    migrate(empty)
    tables = sorted(inspect(engine).get_table_names())

    migrate(empty)

    assert sorted(inspect(engine).get_table_names()) == tables
    assert revision_of(engine) == newest_revision()


def test_the_revisions_are_one_line(empty: str) -> None:
    assert [before for _revision, before in STEPS] == [None, *(r for r, _before in STEPS[:-1])]
    assert _SCRIPTS.get_heads() == [STEPS[-1][0]]


def test_each_later_migration_goes_up_from_the_one_before_it(empty: str, engine: Engine) -> None:
    """Each in a run of its own; one that commits before it is stamped also after it was cut.

    Whatever such a run had done is done again.
    """
    for revision, before in STEPS:
        migrate(empty, revision=revision)
        if revision in COMMITTING:
            with engine.begin() as connection:
                stamp = text("UPDATE alembic_version SET version_num = :before")
                connection.execute(stamp, {"before": before})
            migrate(empty, revision=revision)

        assert revision_of(engine) == revision
    assert differences(engine) == []


def test_a_column_that_no_migration_made_is_found(empty: str, engine: Engine) -> None:
    """The comparison itself works: it sees a stray column and an index that is gone."""
    migrate(empty)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE jobs ADD COLUMN stray text"))
        connection.execute(text("DROP INDEX ix_items_unsuccessful"))

    assert sorted(difference[0] for difference in differences(engine)) == [
        "add_index",
        "remove_column",
    ]


def test_the_planner_keeps_no_statistics_of_whose_rows_are_whose(
    empty: str, engine: Engine
) -> None:
    """Decision 0019; a new table's migration says it too."""
    migrate(empty)

    with engine.connect() as connection:
        found = connection.execute(text(_KEPT_STATISTICS)).all()

    assert [f"{row.relname}.{row.attname}" for row in found] == []


_OLD_JOB = """
INSERT INTO jobs (id, kind, spec, total, retain_until)
    VALUES ('00000000-0000-0000-0000-00000000000{n}', '{kind}', '{{}}', 700, now());
INSERT INTO chunks (job_id, number)
    SELECT '00000000-0000-0000-0000-00000000000{n}', number FROM generate_series(1, 2) number;
INSERT INTO items (job_id, position, chunk_number)
    SELECT '00000000-0000-0000-0000-00000000000{n}', position, (position - 1) / 500 + 1
    FROM generate_series(1, 700) position;
"""


def test_chunks_of_jobs_that_were_there_before_get_their_bounds(
    ground: Ground, empty: str, engine: Engine
) -> None:
    """0004, as the owner, whom row level security hides everything from."""
    migrate(empty, revision="0003")
    name = empty.rpartition("/")[2].partition("?")[0]
    address = database_url(ground.servers.admin_url, name)
    with psycopg.connect(address, autocommit=True) as admin:
        for number, kind in enumerate(("provisioning", "card_import")):
            admin.execute(_OLD_JOB.format(n=number, kind=kind))

        migrate(empty)

        found = admin.execute(
            "SELECT j.kind, c.first_position, c.last_position FROM chunks c "
            "JOIN jobs j ON j.id = c.job_id ORDER BY j.kind DESC, c.number"
        ).fetchall()
        forced = admin.execute(
            "SELECT relname FROM pg_class WHERE relname IN ('jobs', 'chunks', 'items') "
            "AND relforcerowsecurity ORDER BY relname"
        ).fetchall()
    assert found == [
        ("provisioning", 1, 500),
        ("provisioning", 501, 700),
        ("card_import", None, None),
        ("card_import", None, None),
    ]
    assert [row[0] for row in forced] == ["chunks", "items", "jobs"]


def test_a_row_that_hangs_under_a_stranger_s_stops_the_migration(
    ground: Ground, empty: str, engine: Engine
) -> None:
    """0013 looks at the rows that are there, and can be run again once they are mended."""
    migrate(empty, revision="0012")
    name = empty.rpartition("/")[2].partition("?")[0]
    stranger = "00000000-0000-0000-0000-0000000000ff"
    address = database_url(ground.servers.admin_url, name)
    with psycopg.connect(address, autocommit=True) as admin:
        admin.execute(_OLD_JOB.format(n=1, kind="provisioning"))
        admin.execute("UPDATE chunks SET client_id = %s WHERE number = 2", [stranger])

        told = CliRunner().invoke(main, ["migrate"], env={"DATABASE_OWNER_URL": empty})
        assert told.exit_code == 2
        assert "Rows of chunks break ck_chunks_whole_tenant" in told.output
        admin.execute("UPDATE chunks SET agency_id = client_id WHERE number = 2")
        admin.execute("UPDATE jobs SET agency_id = id, client_id = id")
        with pytest.raises(IntegrityError, match="fk_chunks_job_id_agency_id_client_id_jobs"):
            migrate(empty)
        assert revision_of(engine) == "0012"
        unseen = admin.execute("SELECT polname FROM pg_policy WHERE polname = 'validating'")
        assert unseen.fetchall() == []
        admin.execute("UPDATE chunks SET agency_id = job_id, client_id = job_id WHERE number = 2")

        migrate(empty)
    assert differences(engine) == []
    assert revision_of(engine) == newest_revision()


def test_s4_046_accounts_that_were_there_before_know_how_full_they_are(
    ground: Ground, empty: str
) -> None:
    """0021, as the owner: what a credit account held then is the measure of its shortage."""
    migrate(empty, revision="0020")
    name = empty.rpartition("/")[2].partition("?")[0]
    with psycopg.connect(database_url(ground.servers.admin_url, name), autocommit=True) as admin:
        admin.execute(
            "INSERT INTO accounts (id, kind, tier, owner_id, currency, balance, unlimited) "
            "SELECT gen_random_uuid(), kind, 'platform', gen_random_uuid(), 'USD', balance, false "
            "FROM (VALUES ('credit', 700), ('credit', 0), ('spent', 300)) AS a (kind, balance)"
        )

        migrate(empty, revision="0021")

        full = admin.execute("SELECT kind, balance, full_minor FROM accounts ORDER BY 1, 2")
        assert full.fetchall() == [("credit", 0, 0), ("credit", 700, 700), ("spent", 300, 0)]
        forced = admin.execute(
            "SELECT relforcerowsecurity FROM pg_class WHERE relname = 'accounts'"
        )
        assert forced.fetchall() == [(True,)]


_WAITING_JOBS = """
INSERT INTO jobs (id, kind, spec, total, retain_until, funded_to, state)
    SELECT n::text::uuid, 'provisioning', '{}', 4, now(), 1, state
    FROM (VALUES ('00000000-0000-0000-0000-000000000001', 'paused'),
                 ('00000000-0000-0000-0000-000000000002', 'running'),
                 ('00000000-0000-0000-0000-000000000003', 'cancelled')) AS j (n, state);
INSERT INTO chunks (job_id, number) SELECT id, 1 FROM jobs;
INSERT INTO items (job_id, position, chunk_number, state, charge_minor)
    SELECT id, n, 1, CASE n WHEN 2 THEN 'succeeded' ELSE 'pending' END, n * 100
    FROM jobs CROSS JOIN generate_series(1, 4) n;
"""


def test_what_waiting_jobs_want_is_added_up_while_others_work_on_jobs(
    ground: Ground, empty: str
) -> None:
    """0051, as the owner: whoever moves a job waits for its own sum alone, and is counted."""
    migrate(empty, revision="0050")
    name = empty.rpartition("/")[2].partition("?")[0]
    address = database_url(ground.servers.admin_url, name)
    moved: list[str] = []

    def at_work(statement: str) -> None:
        """Before the one job is added up, the other is moved, though the migration is under way."""
        if moved or "FOR NO KEY UPDATE" not in statement:
            return
        moved.append(statement)
        with psycopg.connect(address, autocommit=True) as worker:
            worker.execute("SET lock_timeout = '1s'")
            worker.execute("UPDATE jobs SET funded_to = 3 WHERE id::text LIKE '%2'")

    execute = psycopg.Connection.execute

    def executed(self: psycopg.Connection, query: str, *args: object, **named: object) -> object:
        at_work(str(query))
        return execute(self, query, *args, **named)

    with psycopg.connect(address, autocommit=True) as admin:
        admin.execute(_WAITING_JOBS)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(psycopg.Connection, "execute", executed)
            migrate(empty, revision="0051")
        wanted = admin.execute("SELECT funded_to, unfunded_minor FROM jobs ORDER BY id").fetchall()
        left = admin.execute("SELECT polname FROM pg_policy WHERE polname = 'filling'").fetchall()
        forced = admin.execute(
            "SELECT relname FROM pg_class WHERE relname IN ('items', 'jobs') "
            "AND relforcerowsecurity ORDER BY relname"
        ).fetchall()

    assert wanted == [(1, 700), (3, 400), (1, 0)]
    assert moved and left == []
    assert [row[0] for row in forced] == ["items", "jobs"]


def test_of_two_migrations_at_once_one_is_told_to_wait(empty: str, engine: Engine) -> None:
    """A second operator, or a second machine that is deployed at the same time."""
    migrate(empty, revision="0012")
    command = [sys.executable, "-m", "ops", "migrate"]
    started = [
        subprocess.Popen(
            command,
            env=os.environ | {"DATABASE_OWNER_URL": empty},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(3)
    ]
    said = [process.communicate(timeout=60)[0].strip() for process in started]

    assert "The schema is the newest." in said
    assert set(said) <= {"The schema is the newest.", SchemaBusy.detail}
    assert revision_of(engine) == newest_revision()
    assert differences(engine) == []


def test_a_migration_says_that_another_is_running(empty: str) -> None:
    with psycopg.connect(empty, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(hashtextextended('largesse.migration', 0))")
        busy = CliRunner().invoke(main, ["migrate"], env={"DATABASE_OWNER_URL": empty})
    done = CliRunner().invoke(main, ["migrate"], env={"DATABASE_OWNER_URL": empty})

    assert (busy.exit_code, SchemaBusy.detail in busy.output) == (2, True)
    assert (done.exit_code, done.output.strip()) == (0, "The schema is the newest.")
