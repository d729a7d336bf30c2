"""Find a recipient's lines in a job: by e-mail, by reference or by row, exactly as given."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

FOUND_MAX = 50
#: Nine digits name any row of any file.
ROW_DIGITS_MAX = 9

_FIND = text("""
SELECT i.position, i.state, i.code, i.detail, i.field, i.attempts, i.source, i.email, i.phone,
       i.reference, i.name, i.result_id, i.denomination_minor,
       CASE WHEN i.source IS NOT NULL THEN coalesce(d.state, 'none') END AS delivery_state
FROM items i LEFT JOIN deliveries d ON d.job_id = i.job_id AND d.position = i.position
WHERE i.job_id = :job
  AND (i.person_key = :person OR i.reference = :words OR i.position = :row)
ORDER BY i.position LIMIT :limit
""")


def find_items(
    session: Session, job_id: UUID, words: str, *, person: bytes | None
) -> list[Row[Any]]:
    """Items whose reference or row is `words`, or whose person key is `person`."""
    is_row = words.isascii() and words.isdigit() and len(words) <= ROW_DIGITS_MAX
    values = {
        "job": job_id,
        "words": words,
        "person": person,
        "row": int(words) if is_row else None,
        "limit": FOUND_MAX,
    }
    return list(session.execute(_FIND, values))
