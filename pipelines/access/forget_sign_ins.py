"""Forget sign-ins that ended long ago: when somebody came is personal too (SEC-40)."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

REMEMBERED_DAYS = 90
#: Rows forgotten by one run of the duty.
FORGOTTEN_AT_ONCE = 5_000

_FORGET = text("""
DELETE FROM sign_ins WHERE id = ANY (ARRAY(
    SELECT id FROM sign_ins
    WHERE least(expires_at, coalesce(revoked_at, expires_at))
        < CAST(:now AS timestamptz) - make_interval(days => :days)
    LIMIT :limit FOR UPDATE SKIP LOCKED))
""")


def forget_sign_ins(session: Session, now: datetime) -> int:
    """Delete sign-ins that ended more than ninety days ago; returns how many."""
    result = session.execute(
        _FORGET, {"now": now, "days": REMEMBERED_DAYS, "limit": FORGOTTEN_AT_ONCE}
    )
    return result.rowcount  # type: ignore[attr-defined,no-any-return]
