"""Deliveries are looked at for a month and a half; then they go."""

from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

KEPT = timedelta(days=45)
#: An object without an event for so long begins to count anew.
COUNTED = timedelta(days=730)
FORGOTTEN_AT_ONCE = 5_000

_FORGET = text("""
DELETE FROM webhook_deliveries WHERE id = ANY (ARRAY(
    SELECT id FROM webhook_deliveries WHERE ended_at < :before
    ORDER BY ended_at LIMIT :limit FOR UPDATE SKIP LOCKED))
""")
_FORGET_COUNTS = text("""
DELETE FROM webhook_sequences WHERE object_id = ANY (ARRAY(
    SELECT object_id FROM webhook_sequences WHERE at < :before
    ORDER BY at LIMIT :limit FOR UPDATE SKIP LOCKED))
""")


def forget_webhooks(session: Session, now: datetime, *, limit: int = FORGOTTEN_AT_ONCE) -> bool:
    """Drop what ended long ago, a bounded piece; True if it was full, and more may be there."""
    forgotten = (
        session.execute(_FORGET, {"limit": limit, "before": now - KEPT}),
        session.execute(_FORGET_COUNTS, {"limit": limit, "before": now - COUNTED}),
    )
    return any(result.rowcount >= limit for result in forgotten)  # type: ignore[attr-defined]
