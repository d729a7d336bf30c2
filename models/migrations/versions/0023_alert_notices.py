"""People are told of alerts by mail, once per day and level."""

from pathlib import Path

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    statements = (SQL / "0023_alert_notices.sql").read_text(encoding="utf-8")
    # Sent without parameters, so that a percent sign is only a percent sign.
    op.get_bind().connection.driver_connection.execute(statements)
