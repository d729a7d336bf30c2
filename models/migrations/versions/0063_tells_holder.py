"""Books that tell whoever holds a coupon by mail that it was redeemed (S1-110)."""

from alembic import op

revision = "0063"
down_revision = "0062"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE books ADD COLUMN tells_holder BOOLEAN DEFAULT false NOT NULL")
