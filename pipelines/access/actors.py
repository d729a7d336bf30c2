"""The names of those who did something, as far as the one who asks may know them."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.access.principals import Principal

#: What a tenant reads of people above it: whose side they are on, never who they are.
PLATFORM_WORD, AGENCY_WORD = "Platform", "Agency"

_ACTORS = text("""
SELECT id, name, agency_id, client_id FROM users WHERE id = ANY(:ids)
UNION ALL
SELECT id, name, agency_id, client_id FROM api_keys WHERE id = ANY(:ids)
""")


def names_of(session: Session, ids: Iterable[UUID], *, caller: Principal) -> dict[UUID, str]:
    """Names of people and API keys by id; needs the system's scope, for those above the caller."""
    wanted = list(set(ids))
    if not wanted:
        return {}
    rows = session.execute(_ACTORS, {"ids": wanted})
    return {row.id: _shown(row, caller) for row in rows}


def _shown(actor: Row[tuple[UUID, str, UUID | None, UUID | None]], caller: Principal) -> str:
    if caller.agency_id is not None and actor.agency_id is None:
        return PLATFORM_WORD
    if caller.client_id is not None and actor.client_id is None:
        return AGENCY_WORD
    return str(actor.name)
