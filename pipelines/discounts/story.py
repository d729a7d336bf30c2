"""What the page of a code tells beside its rules: their versions, and the slots that are live now."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.discounts.read import codes_of
from pipelines.discounts.stored_rules import RULE_LIST

#: Of the newest; a code that is changed more often than that has its history in the audit log.
VERSIONS_SHOWN = 50
LIVE_SHOWN = 100

_VERSIONS = text(f"""
SELECT version, {RULE_LIST}, created_by, created_at
FROM discount_rules WHERE code_id = :code ORDER BY version DESC LIMIT :limit
""")
_LIVE = text(f"""
SELECT coalesce(u.stacked_on, u.id) AS id, u.cart_reference, u.rules_version, u.currency,
    u.discount_minor, u.total_minor, u.user_id, u.expires_at, u.created_at,
    m.state AS payment_state, {codes_of("coalesce(u.stacked_on, u.id)")} AS codes
FROM discount_usages u LEFT JOIN payments m ON m.id = u.purchase_id
WHERE u.code_id = :code AND u.state = 'reserved'
ORDER BY u.expires_at, u.id LIMIT :limit
""")


def rules_by_version(
    session: Session, code_id: UUID, *, limit: int = VERSIONS_SHOWN
) -> list[Row[Any]]:
    """The versions of a code's rules, the newest first; each row is one for `rules_of`."""
    return list(session.execute(_VERSIONS, {"code": code_id, "limit": limit}))


def live_reservations(
    session: Session, code_id: UUID, *, limit: int = LIVE_SHOWN
) -> list[Row[Any]]:
    """Slots that are reserved, the next to run out first; some may be over and not given back yet.

    `id` is the cart's reservation, and `codes` are all that it has; `payment_state` is that of the
    payment that is under way for it, if one is.
    """
    return list(session.execute(_LIVE, {"code": code_id, "limit": limit}))
