"""A card that was set aside by itself is not given back with its batch."""

from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    # A constant default is kept in the catalogue: no row is written.
    op.execute("ALTER TABLE cards ADD COLUMN set_aside_alone BOOLEAN DEFAULT false NOT NULL")
