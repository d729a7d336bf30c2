"""Usage of coupons by day: a trigger counts it from here on, and what was done before is added up once.

Readers and writers of coupon events wait while those are added up, a second or so for each million, for
only whoever has the table alone is shown its rows; who waits too long is told so and comes again.
"""

from pathlib import Path

from alembic import op

revision = "0062"
down_revision = "0061"
branch_labels = None
depends_on = None

SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    statements = (SQL / "0062_coupon_usage.sql").read_text(encoding="utf-8")
    # Sent without parameters, so that a percent sign is only a percent sign.
    op.get_bind().connection.driver_connection.execute(statements)
