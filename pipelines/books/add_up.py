"""Add deltas of books' stock and of their coupons' usage to the sums, in bounded passes (decision 0032)."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.locks import Namespace, wait_for_lock

DELTAS_PER_PASS = 10_000

_ADD_UP = text("""
WITH taken AS (
    DELETE FROM book_deltas WHERE id = ANY (ARRAY(SELECT id FROM book_deltas LIMIT :limit))
    RETURNING *
), summed AS (
    INSERT INTO book_sums AS s (book_id, agency_id, client_id, unassigned, assigned, locked,
                                redeemed, void, redemptions)
    SELECT book_id, agency_id, client_id, sum(unassigned), sum(assigned), sum(locked),
        sum(redeemed), sum(void), sum(redemptions)
    FROM taken GROUP BY book_id, agency_id, client_id
    ON CONFLICT (book_id) DO UPDATE SET
        unassigned = s.unassigned + excluded.unassigned,
        assigned = s.assigned + excluded.assigned,
        locked = s.locked + excluded.locked,
        redeemed = s.redeemed + excluded.redeemed,
        void = s.void + excluded.void,
        redemptions = s.redemptions + excluded.redemptions
)
SELECT count(*) FROM taken
""")
_ADD_UP_USAGE = text("""
WITH taken AS (
    DELETE FROM coupon_usage_deltas
    WHERE id = ANY (ARRAY(SELECT id FROM coupon_usage_deltas LIMIT :limit))
    RETURNING *
), summed AS (
    INSERT INTO coupon_usage_daily AS d (book_id, day, agency_id, client_id, assigned, released,
                                         redeemed, voided)
    SELECT book_id, day, agency_id, client_id, sum(assigned), sum(released), sum(redeemed),
        sum(voided)
    FROM taken GROUP BY book_id, day, agency_id, client_id
    ON CONFLICT (book_id, day) DO UPDATE SET
        assigned = d.assigned + excluded.assigned,
        released = d.released + excluded.released,
        redeemed = d.redeemed + excluded.redeemed,
        voided = d.voided + excluded.voided
)
SELECT count(*) FROM taken
""")


def add_up_books(session: Session, *, limit: int = DELTAS_PER_PASS) -> bool:
    """Move deltas into the sums, in the system's scope; True if there may be more of them.

    Whoever adds up takes turns. Readers see each coupon once before, after and meanwhile: the views
    `book_stock` and `coupon_usage` are both tables in one snapshot.
    """
    wait_for_lock(session, Namespace.BOOK_STOCK, "add_up")
    taken = [
        session.execute(statement, {"limit": limit}).scalar_one()
        for statement in (_ADD_UP, _ADD_UP_USAGE)
    ]
    return limit in taken
