"""Forget what has been kept long enough: one duty, a bounded piece at a time."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

# People are forgotten; counts, verdicts and money stay for the books.
_FORGET_PEOPLE = text("""
UPDATE items SET email = NULL, name = NULL, phone = NULL, reference = NULL, person_key = NULL
WHERE (job_id, position) IN (
    SELECT i.job_id, i.position FROM items i JOIN jobs j ON j.id = i.job_id
    WHERE j.retain_until < CAST(:now AS date)
      AND coalesce(i.email, i.name, i.phone, i.reference) IS NOT NULL
    LIMIT 5000)
""")

# A draft is a file of people that nobody answers for: it lives a day.
_FORGET_DRAFTS = text("""
DELETE FROM upload_drafts WHERE id IN (
    SELECT id FROM upload_drafts
    WHERE created_at < CAST(:now AS timestamptz) - interval '24 hours' LIMIT 500)
""")


def forget_people(session: Session, now: datetime) -> int:
    """Remove personal data from the items of jobs past their `retain_until`; returns how many."""
    result = session.execute(_FORGET_PEOPLE, {"now": now})
    return result.rowcount  # type: ignore[attr-defined,no-any-return]


def forget_drafts(session: Session, now: datetime) -> int:
    """Delete uploads that were never submitted, a day after they were begun; returns how many."""
    result = session.execute(_FORGET_DRAFTS, {"now": now})
    return result.rowcount  # type: ignore[attr-defined,no-any-return]
