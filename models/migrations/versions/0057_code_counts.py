"""Codes of a brand and value are found, and counted up to a bound, by an index."""

from alembic import op

revision = "0057"
down_revision = "0056"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """It may be done again after a run that was cut."""
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_loaded_codes_value")
        op.execute(
            "CREATE INDEX CONCURRENTLY ix_loaded_codes_value "
            "ON loaded_codes (campaign_id, brand_id, denomination_minor)"
        )
        op.execute("RESET lock_timeout")
