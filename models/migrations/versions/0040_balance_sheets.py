"""Credit begins from a balance sheet: the sheet, and the movements that open accounts.

It commits before it validates, so that each step may be done again after a run that was cut.
"""

from pathlib import Path

from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    statements = (SQL / "0040_balance_sheets.sql").read_text(encoding="utf-8")
    # Sent without parameters, so that a percent sign is only a percent sign.
    op.get_bind().connection.driver_connection.execute(statements)
    with op.get_context().autocommit_block():
        # It waits for every transaction that is older, and reads every transfer: it stops nobody.
        op.execute("SET lock_timeout = 0")
        op.execute("ALTER TABLE transfers VALIDATE CONSTRAINT ck_transfers_kind")
        op.execute("RESET lock_timeout")
