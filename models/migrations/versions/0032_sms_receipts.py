"""A delivery may be known to have arrived: SMS tell."""

from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(
        "ALTER TABLE deliveries DROP CONSTRAINT ck_deliveries_state, "
        "ADD CONSTRAINT ck_deliveries_state CHECK "
        "(state IN ('waiting', 'sent', 'delivered', 'failed', 'cancelled')) NOT VALID"
    )
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE deliveries VALIDATE CONSTRAINT ck_deliveries_state")
