"""Forget what has been kept long enough: one duty, a bounded piece at a time."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

#: In one pass; one that was full is followed by another.
PEOPLE_AT_ONCE = 5_000
DRAFTS_AT_ONCE = 500

# People are forgotten; counts, verdicts and money stay for the books.
_FORGET_PEOPLE = text(f"""
WITH old AS MATERIALIZED (
    SELECT i.job_id, i.position FROM items i JOIN jobs j ON j.id = i.job_id
    WHERE j.retain_until < CAST(:now AS date)
      AND coalesce(i.email, i.name, i.phone, i.reference) IS NOT NULL
    LIMIT {PEOPLE_AT_ONCE})
UPDATE items i
SET email = NULL, name = NULL, phone = NULL, reference = NULL, person_key = NULL
FROM old WHERE i.job_id = old.job_id AND i.position = old.position
""")

# A draft is a file of people that nobody answers for: it lives a day.
_FORGET_DRAFTS = text(f"""
DELETE FROM upload_drafts WHERE id = ANY (ARRAY(
    SELECT id FROM upload_drafts
    WHERE created_at < CAST(:now AS timestamptz) - interval '24 hours' LIMIT {DRAFTS_AT_ONCE}))
""")


def forget_people(session: Session, now: datetime) -> bool:
    """Remove personal data from the items of jobs past their `retain_until`, a bounded piece.

    True if the piece was full, and more may be there.
    """
    result = session.execute(_FORGET_PEOPLE, {"now": now})
    return result.rowcount >= PEOPLE_AT_ONCE  # type: ignore[attr-defined,no-any-return]


def forget_drafts(session: Session, now: datetime) -> bool:
    """Delete uploads that were never submitted, a day after they were begun; as `forget_people`."""
    result = session.execute(_FORGET_DRAFTS, {"now": now})
    return result.rowcount >= DRAFTS_AT_ONCE  # type: ignore[attr-defined,no-any-return]
