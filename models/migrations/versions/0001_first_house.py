"""The first house: tables, their laws, and who may touch them."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for part in ("0001_tables.sql", "0001_rules.sql", "0001_rights.sql"):
        statements = (SQL / part).read_text(encoding="utf-8")
        # Sent without parameters, so that a percent sign is only a percent sign.
        op.get_bind().connection.driver_connection.execute(statements)


def downgrade() -> None:
    raise RuntimeError("0001 is the ground of the house: to go below it, drop the database")
