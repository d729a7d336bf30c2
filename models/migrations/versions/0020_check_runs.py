"""The house looks itself over, and notes when; failures of the last hour are found by an index."""

from pathlib import Path

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    # First: it may be done again after a run that was cut.
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_jobs_failed")
        op.execute(
            "CREATE INDEX CONCURRENTLY ix_jobs_failed ON jobs (finished_at) "
            "WHERE state IN ('failed', 'partially_succeeded')"
        )
    op.execute("SET LOCAL lock_timeout = '5s'")
    statements = (SQL / "0020_check_runs.sql").read_text(encoding="utf-8")
    # Sent without parameters, so that a percent sign is only a percent sign.
    op.get_bind().connection.driver_connection.execute(statements)
