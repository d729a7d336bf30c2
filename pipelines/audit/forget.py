"""Forget from where requests came: the one thing in an audit entry that is not kept (SEC-40)."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

REMEMBERED_DAYS = 90
#: Entries forgotten by one run of the duty.
FORGOTTEN_AT_ONCE = 20_000

_FORGET = text("""
UPDATE audit_entries SET address = NULL WHERE id = ANY (ARRAY(
    SELECT id FROM audit_entries WHERE address IS NOT NULL
      AND at < CAST(:now AS timestamptz) - make_interval(days => :days)
    ORDER BY at LIMIT :limit FOR UPDATE SKIP LOCKED))
""")


def forget_addresses(session: Session, now: datetime) -> int:
    """Null the networks of entries older than ninety days; no hash rests on them."""
    result = session.execute(
        _FORGET, {"now": now, "days": REMEMBERED_DAYS, "limit": FORGOTTEN_AT_ONCE}
    )
    return result.rowcount  # type: ignore[attr-defined,no-any-return]
