"""What the page of a code tells beside its rules: their versions, and the slots that are live now."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.discounts.stored_rules import RULE_LIST

#: Of the newest; a code that is changed more often than that has its history in the audit log.
VERSIONS_SHOWN = 50
LIVE_SHOWN = 100

_VERSIONS = text(f"""
SELECT version, {RULE_LIST}, created_by, created_at
FROM discount_rules WHERE code_id = :code ORDER BY version DESC LIMIT :limit
""")
_LIVE = text("""
SELECT id, cart_reference, rules_version, currency, discount_minor, total_minor, user_id,
    expires_at, created_at
FROM discount_usages WHERE code_id = :code AND state = 'reserved'
ORDER BY expires_at, id LIMIT :limit
""")


def rules_by_version(
    session: Session, code_id: UUID, *, limit: int = VERSIONS_SHOWN
) -> list[Row[Any]]:
    """The versions of a code's rules, the newest first; each row is one for `rules_of`."""
    return list(session.execute(_VERSIONS, {"code": code_id, "limit": limit}))


def live_reservations(
    session: Session, code_id: UUID, *, limit: int = LIVE_SHOWN
) -> list[Row[Any]]:
    """Slots that are reserved, the next to run out first; some may be over and not given back yet."""
    return list(session.execute(_LIVE, {"code": code_id, "limit": limit}))
