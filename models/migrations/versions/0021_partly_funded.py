"""A job may be funded up to one of its items, and an account knows how full it once was."""

from pathlib import Path

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    statements = (SQL / "0021_partly_funded.sql").read_text(encoding="utf-8")
    # Sent without parameters, so that a percent sign is only a percent sign.
    op.get_bind().connection.driver_connection.execute(statements)
