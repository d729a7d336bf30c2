"""Sheets that were asked for and never approved: names and balances of tenants that nobody needs."""

from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

#: Long after the request for approval has ended, which waits a day.
SHEETS_KEPT = timedelta(days=7)

# One that is being approved is locked: whoever waited for that finds it applied, and leaves it.
_FORGET = text("""
DELETE FROM balance_sheets WHERE applied_at IS NULL AND id = ANY (ARRAY(
    SELECT id FROM balance_sheets WHERE applied_at IS NULL AND created_at < :before LIMIT 100))
""")


def forget_sheets(session: Session, now: datetime) -> int:
    """Delete sheets that were not applied within a week of being asked for; returns how many.

    A sheet that was applied is kept: it is why accounts have what they have.
    """
    result = session.execute(_FORGET, {"before": now - SHEETS_KEPT})
    return result.rowcount  # type: ignore[attr-defined,no-any-return]
