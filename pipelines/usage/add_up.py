"""Add deltas of issued cards to their day's sums, in bounded passes."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.locks import Namespace, wait_for_lock

DELTAS_PER_PASS = 10_000

_ADD_UP = text("""
WITH taken AS (
    DELETE FROM issued_deltas WHERE id = ANY (ARRAY(SELECT id FROM issued_deltas LIMIT :limit))
    RETURNING *
), summed AS (
    INSERT INTO issued_daily AS d (campaign_id, day, source, currency, agency_id, client_id, cards,
                                   charge_minor, cost_minor, cards_without_cost)
    SELECT campaign_id, day, source, currency, agency_id, client_id, sum(cards),
        sum(charge_minor), sum(cost_minor), sum(cards_without_cost)
    FROM taken GROUP BY campaign_id, day, source, currency, agency_id, client_id
    ON CONFLICT (campaign_id, day, source, currency) DO UPDATE SET
        cards = d.cards + excluded.cards,
        charge_minor = d.charge_minor + excluded.charge_minor,
        cost_minor = d.cost_minor + excluded.cost_minor,
        cards_without_cost = d.cards_without_cost + excluded.cards_without_cost
)
SELECT count(*) FROM taken
""")


def add_up(session: Session, *, limit: int = DELTAS_PER_PASS) -> bool:
    """Move deltas into the sums, in the system's scope; True if there may be more of them.

    Whoever adds up takes turns. Readers see each card once before, after and meanwhile: the view
    `issued` is both tables in one snapshot.
    """
    wait_for_lock(session, Namespace.ISSUED, "add_up")
    taken: int = session.execute(_ADD_UP, {"limit": limit}).scalar_one()
    return taken == limit
