"""What the use of a code was judged by, and who decided on it; codes that spread (S2-105, EC-017)."""

from pathlib import Path

from alembic import op

revision = "0069"
# 0068 is another change's: this is pointed at it where both meet.
down_revision = "0068"
branch_labels = None
depends_on = None

SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    statements = (SQL / "0069_usage_risks.sql").read_text(encoding="utf-8")
    # Sent without parameters, so that a percent sign is only a percent sign.
    op.get_bind().connection.driver_connection.execute(statements)
