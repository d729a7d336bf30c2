"""Where the reading of a vendor's catalogue stands is kept with its account, and in no task."""

from alembic import op

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(
        "ALTER TABLE vendor_accounts ADD COLUMN catalogue_page TEXT, "
        "ADD COLUMN catalogue_begun_at TIMESTAMP WITH TIME ZONE"
    )
