"""A pool's order keeps its slot until a person has looked, and costs on the day it was sent."""

from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None

#: What is left of a run that was cut, what is made instead, and what it makes needless.
INDEXES = (
    "DROP INDEX CONCURRENTLY IF EXISTS ix_provider_orders_pool_held",
    (
        "CREATE INDEX CONCURRENTLY ix_provider_orders_pool_held ON provider_orders (pool_id) "
        "WHERE pool_id IS NOT NULL AND (state IN ('created','sent','accepted','unknown') "
        "OR state = 'succeeded' AND review_since IS NOT NULL)"
    ),
    "DROP INDEX CONCURRENTLY IF EXISTS ix_provider_orders_pool_sent_at",
    (
        "CREATE INDEX CONCURRENTLY ix_provider_orders_pool_sent_at "
        "ON provider_orders (pool_id, sent_at) WHERE pool_id IS NOT NULL"
    ),
    "DROP INDEX CONCURRENTLY IF EXISTS ix_provider_orders_pool_open",
)


def upgrade() -> None:
    """It may be done again after a run that was cut."""
    with op.get_context().autocommit_block():
        for statement in INDEXES:
            op.execute(statement)
