"""Who has no reward has no count: nothing of an erased person is kept (S4-128)."""

from pathlib import Path

from alembic import op

revision = "0057"
down_revision = "0056"
branch_labels = None
depends_on = None

SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    statements = (SQL / "0057_rewards_of_nobody.sql").read_text(encoding="utf-8")
    # Sent without parameters, so that a percent sign is only a percent sign.
    op.get_bind().connection.driver_connection.execute(statements)
