"""What a job still wants is a number kept with it, and jobs that want some are found by an index.

It commits before it adds up what waits: a job at a time, so that nobody waits for the sum over all.
"""

import time
from pathlib import Path

import psycopg
from alembic import op

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None

SQL = Path(__file__).parent.parent / "sql"
#: What is left of a run that was cut, and what is made instead.
INDEX = (
    "DROP INDEX CONCURRENTLY IF EXISTS ix_jobs_unfunded",
    (
        "CREATE INDEX CONCURRENTLY ix_jobs_unfunded ON jobs (campaign_id) "
        "WHERE funded_to IS NOT NULL AND state IN ('queued', 'running', 'paused')"
    ),
)
#: FORCE hides every row from the owner too.
SEEN = "CREATE POLICY filling ON {0} TO CURRENT_USER USING (true)"
UNSEEN = "DROP POLICY IF EXISTS filling ON {0}"
JOBS = (
    "SELECT id FROM jobs WHERE funded_to IS NOT NULL AND state IN ('queued', 'running', 'paused')"
)
# Whoever moves `funded_to` or the rows before it has the job's row: once it is ours, what is read by
# the next statement stays true, and the trigger goes on from it.
HOLD = "SELECT FROM jobs WHERE id = %s FOR NO KEY UPDATE"
FILL = """
UPDATE jobs j SET unfunded_minor = (SELECT coalesce(sum(i.charge_minor), 0) FROM items i
    WHERE i.job_id = j.id AND i.position > j.funded_to AND i.state = 'pending')
WHERE j.id = %s AND j.funded_to IS NOT NULL
"""
PATIENCE_SECONDS, TRIES = 1.0, 60


def upgrade() -> None:
    """It may be done again after a run that was cut."""
    statements = (SQL / "0051_unfunded_charges.sql").read_text(encoding="utf-8")
    with op.get_context().autocommit_block():
        # Sent without parameters: a percent sign is only a percent sign.
        connection = op.get_bind().connection.driver_connection
        _patiently(connection, [(statements, None)])
        op.execute("SET lock_timeout = 0")
        for statement in INDEX:
            op.execute(statement)
        op.execute("RESET lock_timeout")
        for table in ("jobs", "items"):
            _patiently(connection, [(UNSEEN.format(table), None), (SEEN.format(table), None)])
        for (job_id,) in connection.execute(JOBS).fetchall():
            _patiently(connection, [(HOLD, [job_id]), (FILL, [job_id])])
        for table in ("items", "jobs"):
            _patiently(connection, [(UNSEEN.format(table), None)])


def _patiently(
    connection: psycopg.Connection, steps: list[tuple[str, list[object] | None]]
) -> None:
    """One transaction, which waits for each lock a moment, and begins again."""
    for tried in range(1, TRIES + 1):
        try:
            with connection.transaction():
                connection.execute("SET LOCAL lock_timeout = '2s'")
                for statement, values in steps:
                    connection.execute(statement, values)
            return
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            if tried == TRIES:
                raise
            time.sleep(PATIENCE_SECONDS)
