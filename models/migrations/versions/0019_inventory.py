"""Stock: import batches, sources that are switched off, and counts that stay quick at any stock."""

from pathlib import Path

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

SQL = Path(__file__).parent.parent / "sql"
#: Each is made again after a run that was cut. Old code uses none, and none that it used is dropped.
INDEXES = """
DROP INDEX CONCURRENTLY IF EXISTS ix_cards_pool_available;
CREATE INDEX CONCURRENTLY ix_cards_pool_available ON cards (pool_id, expires_on)
    INCLUDE (cost_minor) WHERE state = 'available';
DROP INDEX CONCURRENTLY IF EXISTS ix_cards_pool_issued;
CREATE INDEX CONCURRENTLY ix_cards_pool_issued ON cards (pool_id, issued_at)
    WHERE state = 'issued';
DROP INDEX CONCURRENTLY IF EXISTS ix_cards_batch_state;
CREATE INDEX CONCURRENTLY ix_cards_batch_state ON cards (import_job_id, state, id)
    WHERE import_job_id IS NOT NULL;
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    # Columns without a value of their own: no row is written for them.
    op.execute("ALTER TABLE cards ADD COLUMN IF NOT EXISTS issued_at TIMESTAMP WITH TIME ZONE")
    op.execute("ALTER TABLE cards ADD COLUMN IF NOT EXISTS import_row INTEGER")
    with op.get_context().autocommit_block():
        # They wait for every transaction that is older, however long it takes: they stop nobody.
        op.execute("SET lock_timeout = 0")
        for statement in INDEXES.strip().removesuffix(";").split(";"):
            op.execute(statement)
        op.execute("RESET lock_timeout")
    op.execute("SET LOCAL lock_timeout = '5s'")
    statements = (SQL / "0019_inventory.sql").read_text(encoding="utf-8")
    # Sent without parameters, so that a percent sign is only a percent sign.
    op.get_bind().connection.driver_connection.execute(statements)
