"""A claim passes over cards that cost too much inside its index, and reads none of them."""

from pathlib import Path

from alembic import op

revision = "0056"
down_revision = "0055"
branch_labels = None
depends_on = None

SQL = Path(__file__).parent.parent / "sql"
#: In the order of claims: what nobody knows, or knows in another currency, is below every cost.
KNOWN_COST = """
CREATE OR REPLACE FUNCTION known_cost(p_cost bigint, p_cost_currency text, p_currency text)
  RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(CASE WHEN p_cost_currency = p_currency THEN p_cost END,
                    '-9223372036854775808'::bigint)
$$
"""
#: What is left of a run that was cut, and what is made instead.
INDEXES = (
    "DROP INDEX CONCURRENTLY IF EXISTS ix_provider_orders_pool_bought",
    (
        "CREATE INDEX CONCURRENTLY ix_provider_orders_pool_bought "
        "ON provider_orders (pool_id, vendor, product, id) "
        "WHERE pool_id IS NOT NULL AND state = 'succeeded'"
    ),
    "DROP INDEX CONCURRENTLY IF EXISTS ix_cards_claimable",
    (
        "CREATE INDEX CONCURRENTLY ix_cards_claimable ON cards (brand_id, denomination_minor, "
        "currency, source, expires_on, known_cost(cost_minor, cost_currency, currency), id) "
        "WHERE state = 'available'"
    ),
)


def upgrade() -> None:
    """It may be done again after a run that was cut."""
    statements = (SQL / "0056_dear_cards.sql").read_text(encoding="utf-8")
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute(KNOWN_COST)
        for statement in INDEXES:
            op.execute(statement)
        # Sent without parameters: a percent sign is only a percent sign.
        op.get_bind().connection.driver_connection.execute(
            f"BEGIN; SET LOCAL lock_timeout = '5s'; {statements} COMMIT"
        )
        # The other one has all that it had.
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_cards_available")
        op.execute("RESET lock_timeout")
