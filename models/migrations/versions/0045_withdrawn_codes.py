"""Codes that were handed out can be withdrawn; who collects them is counted by an index."""

from pathlib import Path

from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None

SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    # First: it may be done again after a run that was cut.
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_audit_entries_redeemed")
        op.execute(
            "CREATE INDEX CONCURRENTLY ix_audit_entries_redeemed "
            "ON audit_entries (client_id, address, at) WHERE action = 'code.redeemed'"
        )
    op.execute("SET LOCAL lock_timeout = '5s'")
    statements = (SQL / "0045_withdrawn_codes.sql").read_text(encoding="utf-8")
    # Sent without parameters, so that a percent sign is only a percent sign.
    op.get_bind().connection.driver_connection.execute(statements)
