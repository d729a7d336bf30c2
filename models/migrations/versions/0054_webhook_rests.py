"""An endpoint rests while its receiver asks to be left alone."""

from alembic import op

revision = "0054"
down_revision = "0053"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE webhook_endpoints ADD COLUMN rests_until TIMESTAMP WITH TIME ZONE")
