"""What one person moved within a day is added up by an index of such movements alone."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # It waits for every transaction that is older, however long it takes: it stops nobody.
        op.execute("SET lock_timeout = 0")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_transfers_moved")
        op.execute(
            "CREATE INDEX CONCURRENTLY ix_transfers_moved ON transfers (actor_id, created_at) "
            "WHERE kind IN ('allocation', 'recall')"
        )
        op.execute("RESET lock_timeout")
