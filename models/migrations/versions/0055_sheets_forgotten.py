"""Balance sheets that nobody approved are deleted in time: the system may."""

from alembic import op

revision = "0055"
down_revision = "0054"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("GRANT DELETE ON balance_sheets TO largesse_system")
