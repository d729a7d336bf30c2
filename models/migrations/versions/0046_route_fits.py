"""A route's own country counts, and items that wait for their margin are found by their brand."""

from pathlib import Path

from alembic import op

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None

SQL = Path(__file__).parent.parent / "sql"
#: What is left of a run that was cut, and what is made instead.
INDEX = (
    "DROP INDEX CONCURRENTLY IF EXISTS ix_items_waiting_for_margin",
    (
        "CREATE INDEX CONCURRENTLY ix_items_waiting_for_margin ON items (brand_id) "
        "WHERE state = 'needs_review' AND code = 'margin_below_floor'"
    ),
)


def upgrade() -> None:
    """It may be done again after a run that was cut."""
    statements = (SQL / "0046_route_fits.sql").read_text(encoding="utf-8")
    with op.get_context().autocommit_block():
        # Sent without parameters: a percent sign is only a percent sign.
        op.get_bind().connection.driver_connection.execute(
            f"BEGIN; SET LOCAL lock_timeout = '5s'; {statements} COMMIT"
        )
        op.execute("SET lock_timeout = 0")
        for statement in INDEX:
            op.execute(statement)
        op.execute("RESET lock_timeout")
