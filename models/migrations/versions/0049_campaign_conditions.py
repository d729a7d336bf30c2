"""Conditions of campaigns, and the counts that their limits are kept by (S4-128)."""

from pathlib import Path

from alembic import op

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None

SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Nothing is counted before a limit is set, so there is nothing to add up here."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    statements = (SQL / "0049_campaign_conditions.sql").read_text(encoding="utf-8")
    # Sent without parameters, so that a percent sign is only a percent sign.
    op.get_bind().connection.driver_connection.execute(statements)
