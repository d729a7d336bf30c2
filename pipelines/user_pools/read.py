"""Who is in a pool: pages by keyset, a look-up, a file, and those who can be given something."""

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.database import Sessions, scoped_transaction
from models.scope import Scope
from pipelines.access.users import normalised
from pipelines.jobs.csv_writer import csv_blocks

#: The list of members can be uploaded again as it is.
CSV_COLUMNS = ("user_id", "email", "external_id", "name", "is_active", "added_at")
PAGE_ROWS = 2_000
#: Sorts after every text that begins with what it is put behind.
_LAST = "\U0010ffff"

_MEMBERS = """
SELECT m.user_id, c.email, c.external_id, c.name, c.disabled_at IS NULL AS is_active, m.added_at
FROM user_pool_members m
JOIN client_users c ON c.client_id = m.client_id AND c.user_id = m.user_id
WHERE m.pool_id = :pool AND (CAST(:after AS uuid) IS NULL OR m.user_id > :after)
"""
_PAGE = text(_MEMBERS + "ORDER BY m.user_id LIMIT :limit")
# By index alone: an address from its beginning, or a whole external id.
_FOUND = text(
    _MEMBERS
    + """
  AND m.user_id = ANY (ARRAY(
    SELECT k.user_id FROM client_users k WHERE k.client_id = :client
      AND k.email_normalised >= :words AND k.email_normalised < :last
    UNION SELECT k.user_id FROM client_users k
    WHERE k.client_id = :client AND k.external_id = :external_id))
ORDER BY m.user_id LIMIT :limit
"""
)
_ACTIVE = text("""
SELECT m.user_id FROM user_pool_members m
JOIN client_users c ON c.client_id = m.client_id AND c.user_id = m.user_id
WHERE m.pool_id = :pool AND c.disabled_at IS NULL ORDER BY m.user_id
""")


def list_members(
    session: Session, pool: Row[Any], *, words: str = "", after: UUID | None, limit: int
) -> list[Row[Any]]:
    """Members of a pool that the scope sees, by user id.

    `words`: whose address begins so, or whose external id it is.
    """
    values = {"pool": pool.id, "after": after, "limit": limit}
    if not words:
        return list(session.execute(_PAGE, values))
    begins = normalised(words)
    sought = {"words": begins, "last": begins + _LAST, "external_id": words}
    return list(session.execute(_FOUND, values | sought | {"client": pool.client_id}))


def active_members(session: Session, pool_id: UUID) -> list[UUID]:
    """Who is in the pool and not disabled, by user id; in a scope that sees the pool."""
    return list(session.execute(_ACTIVE, {"pool": pool_id}).scalars())


def members_csv(sessions: Sessions, scope: Scope, pool_id: UUID) -> Iterator[bytes]:
    """The file as blocks of UTF-8; each page is its own short transaction, memory is constant."""
    return csv_blocks(CSV_COLUMNS, _rows(sessions, scope, pool_id))


def _rows(sessions: Sessions, scope: Scope, pool_id: UUID) -> Iterator[Sequence[str | int | None]]:
    after: UUID | None = None
    while True:
        values = {"pool": pool_id, "after": after, "limit": PAGE_ROWS}
        with scoped_transaction(sessions, scope) as session:
            page = list(session.execute(_PAGE, values))
        for row in page:
            active = "true" if row.is_active else "false"
            named = (str(row.user_id), row.email, row.external_id, row.name)
            yield (*named, active, row.added_at.isoformat())
        if len(page) < PAGE_ROWS:
            return
        after = page[-1].user_id
