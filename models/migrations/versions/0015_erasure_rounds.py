"""An erasure goes round until it finds no copy any more, and knows whom it waits for."""

from pathlib import Path

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    # First: it may be done again after a run that was cut.
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_jobs_copies")
        op.execute(
            "CREATE INDEX CONCURRENTLY ix_jobs_copies ON jobs (id) "
            "WHERE undoes_id IS NOT NULL OR cloned_from_id IS NOT NULL"
        )
    op.execute("SET LOCAL lock_timeout = '5s'")
    statements = (SQL / "0015_erasure_rounds.sql").read_text(encoding="utf-8")
    # Sent without parameters, so that a percent sign is only a percent sign.
    op.get_bind().connection.driver_connection.execute(statements)
