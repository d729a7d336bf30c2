"""A card that does not work is replaced: the state of such a card, the mark on what was given, the entry.

It commits before its indexes, so that each step may be done again after a run that was cut.
"""

from pathlib import Path

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    statements = (SQL / "0025_replacements.sql").read_text(encoding="utf-8")
    # Sent without parameters, so that a percent sign is only a percent sign.
    op.get_bind().connection.driver_connection.execute(statements)
    with op.get_context().autocommit_block():
        # It waits for every transaction that is older, however long it takes: it stops nobody.
        op.execute("SET lock_timeout = 0")
        op.execute("ALTER TABLE cards VALIDATE CONSTRAINT ck_cards_state")
        op.execute("ALTER TABLE transfers VALIDATE CONSTRAINT ck_transfers_kind")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS uq_provisions_replacement_job_id")
        op.execute(
            "CREATE UNIQUE INDEX CONCURRENTLY uq_provisions_replacement_job_id "
            "ON provisions (replacement_job_id) WHERE replacement_job_id IS NOT NULL"
        )
        op.execute("RESET lock_timeout")
