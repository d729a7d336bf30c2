"""An account whose books disagree is frozen until two people have decided."""

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE accounts ADD COLUMN frozen_at TIMESTAMP WITH TIME ZONE")
