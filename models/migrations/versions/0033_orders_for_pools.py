"""An order at a vendor may fill a pool ahead, instead of serving an item."""

from pathlib import Path

from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

SQL = Path(__file__).parent.parent / "sql"
#: Alternating: what is left of a run that was cut, and what is made instead.
INDEXES = (
    "DROP INDEX CONCURRENTLY IF EXISTS ix_provider_orders_pool_open",
    (
        "CREATE INDEX CONCURRENTLY ix_provider_orders_pool_open ON provider_orders (pool_id) "
        "WHERE pool_id IS NOT NULL AND state IN ('created','sent','accepted','unknown')"
    ),
    "DROP INDEX CONCURRENTLY IF EXISTS ix_provider_orders_pool_created_at",
    (
        "CREATE INDEX CONCURRENTLY ix_provider_orders_pool_created_at "
        "ON provider_orders (pool_id, created_at) WHERE pool_id IS NOT NULL"
    ),
)


def upgrade() -> None:
    """It may be done again after a run that was cut."""
    statements = (SQL / "0033_orders_for_pools.sql").read_text(encoding="utf-8")
    with op.get_context().autocommit_block():
        # One transaction, sent without parameters: a percent sign is only a percent sign.
        op.get_bind().connection.driver_connection.execute(
            f"BEGIN; SET LOCAL lock_timeout = '5s'; {statements} COMMIT"
        )
        # Reads the table, and everybody writes meanwhile.
        op.execute("ALTER TABLE provider_orders VALIDATE CONSTRAINT ck_provider_orders_purpose")
        op.execute("SET lock_timeout = 0")
        for statement in INDEXES:
            op.execute(statement)
        op.execute("RESET lock_timeout")
