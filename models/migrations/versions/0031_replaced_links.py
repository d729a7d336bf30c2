"""The link of a replacement goes where the card before it was redirected to, and to nobody else.

It commits before its check, so that each step may be done again after a run that was cut.
"""

from pathlib import Path

from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    statements = (SQL / "0031_replaced_links.sql").read_text(encoding="utf-8")
    # Sent without parameters, so that a percent sign is only a percent sign.
    op.get_bind().connection.driver_connection.execute(statements)
    with op.get_context().autocommit_block():
        # It waits for every transaction that is older, however long it takes: it stops nobody.
        op.execute("SET lock_timeout = 0")
        op.execute("ALTER TABLE deliveries VALIDATE CONSTRAINT ck_deliveries_corrected_address")
        op.execute("RESET lock_timeout")
