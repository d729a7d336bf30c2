"""Find a person's lines in a job: by e-mail, by reference, external id or row, exactly as given."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

FOUND_MAX = 50
#: Nine digits name any row of any file.
ROW_DIGITS_MAX = 9

_FIND = text("""
SELECT i.position, i.state, i.code, i.detail, i.field, i.attempts, i.source, i.email, i.phone,
       i.reference, i.name, i.result_id, i.denomination_minor, i.user_id,
       u.email AS user_email, u.external_id AS user_external_id,
       CASE WHEN i.source IS NOT NULL THEN coalesce(d.state, 'none') END AS delivery_state
FROM items i LEFT JOIN deliveries d ON d.job_id = i.job_id AND d.position = i.position
LEFT JOIN client_users u ON u.client_id = i.client_id AND u.user_id = i.user_id
WHERE i.job_id = :job
  AND (i.person_key = :person OR i.reference = :words OR i.position = :row
       OR i.user_id = ANY (ARRAY(
           SELECT k.user_id FROM client_users k JOIN jobs j ON j.client_id = k.client_id
           WHERE j.id = :job AND (k.email_normalised = :address OR k.external_id = :words))))
ORDER BY i.position LIMIT :limit
""")


def find_items(
    session: Session, job_id: UUID, words: str, *, person: bytes | None, address: str
) -> list[Row[Any]]:
    """Items whose reference or row is `words`, or whose person has it as key, address or id."""
    is_row = words.isascii() and words.isdigit() and len(words) <= ROW_DIGITS_MAX
    values = {
        "job": job_id,
        "words": words,
        "address": address,
        "person": person,
        "row": int(words) if is_row else None,
        "limit": FOUND_MAX,
    }
    return list(session.execute(_FIND, values))
