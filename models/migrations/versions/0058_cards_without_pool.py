"""Cards that an undo gave back and that are in no pool are counted and listed by an index."""

from alembic import op

revision = "0058"
down_revision = "0057"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """It may be done again after a run that was cut."""
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_cards_without_pool")
        op.execute(
            "CREATE INDEX CONCURRENTLY ix_cards_without_pool ON cards (id) "
            "INCLUDE (brand_id, denomination_minor, currency, provider_order_id) "
            "WHERE pool_id IS NULL AND state = 'quarantined'"
        )
        op.execute("RESET lock_timeout")
