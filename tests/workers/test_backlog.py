"""A ring pass over a large backlog: its work grows with the flows, never with their tasks."""

import psycopg
from sqlalchemy import text

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.queue.kinds import PURGE_KEYS
from pipelines.queue.ring import ring_due
from pipelines.wiring import House
from tests.conftest import Database
from tests.driving import rows

_READ = text(
    "SELECT seq_tup_read AS scanned, idx_tup_fetch AS fetched FROM pg_stat_xact_user_tables "
    "WHERE relname = 'tasks'"
)


def test_a_pass_over_a_large_backlog_reads_only_what_it_may_ring(
    house: House, database: Database
) -> None:
    """Whatever the planner believes: its statistics are from when the table was empty."""
    with psycopg.connect(database.admin_url, dbname=database.name, autocommit=True) as admin:
        admin.execute("ANALYZE tasks")
    rows(
        house,
        "INSERT INTO tasks (id, kind, args, queue, lane, flow, run_after) "
        "SELECT gen_random_uuid(), :kind, '{}', 'bulk', 'lane', "
        "('00000000-0000-0000-0000-' || lpad((n % 20)::text, 12, '0'))::uuid, now() "
        "FROM generate_series(1, 20000) n RETURNING 1",
        kind=PURGE_KEYS.name,
    )
    flows, least = 20, house.limits.window_tasks_min
    with scoped_transaction(house.sessions, SYSTEM) as session:
        bells = ring_due(session, now=clock.now(session), limits=house.limits)
        read = session.execute(_READ).one()

    assert len(bells) == least
    assert read.scanned == 0
    assert read.fetched < flows * (least + 2) + 10 * least
