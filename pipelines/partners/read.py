"""Read partners for whoever manages them: who they are, and what comes from their sites."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.books.read import as_letters
from pipelines.errors import NotFound
from pipelines.partners.months import THIS_MONTH

#: So long refusals are shown back.
REFUSALS_DAYS = 30

_SHOWN = """
SELECT p.id, p.agency_id, p.client_id, p.name, p.time_zone, p.origins, p.disabled_at, p.token_at,
    p.version, p.created_by, p.created_at, p.updated_at, s.last4, s.created_at AS secret_at
FROM partners p
LEFT JOIN partner_secrets s ON s.partner_id = p.id AND s.ends_at IS NULL
"""
_ONE = text(_SHOWN + "WHERE p.id = :partner")
_LIST = text(
    _SHOWN
    + """
WHERE (CAST(:before AS uuid) IS NULL OR p.id < :before)
  AND (CAST(:client AS uuid) IS NULL OR p.client_id = :client)
  AND (CAST(:disabled AS boolean) IS NULL OR (p.disabled_at IS NOT NULL) = :disabled)
  AND p.name ILIKE ALL (CAST(:words AS text[]))
ORDER BY p.id DESC LIMIT :limit
"""
)
_STANDING = text(f"""
SELECT (SELECT count(*) FROM claims c WHERE c.partner_id = p.id AND c.claim_month = m.month) AS claims,
    (SELECT count(*) FROM widget_sessions s WHERE s.partner_id = p.id AND s.revoked_at IS NULL
     AND s.expires_at > :now) AS visits, m.month
FROM partners p, LATERAL (SELECT {THIS_MONTH} AS month) m
WHERE p.id = :partner
""")
_CLAIMS = text(f"""
SELECT p.id, count(c.id) AS claims FROM partners p
LEFT JOIN claims c ON c.partner_id = p.id AND c.claim_month = {THIS_MONTH}
WHERE p.id = ANY (:partners) GROUP BY p.id
""")
_REFUSALS = text("""
SELECT reason, sum(times) AS times, max(last_at) AS last_at FROM partner_refusals
WHERE partner_id = :partner AND day > CAST(:now AS date) - CAST(:days AS integer)
GROUP BY reason ORDER BY times DESC, reason
""")


@dataclass(frozen=True, slots=True)
class PartnersWanted:
    """Which partners a list shows; None and no words are any."""

    client_id: UUID | None = None
    is_disabled: bool | None = None
    words: tuple[str, ...] = ()


def list_partners(
    session: Session, wanted: PartnersWanted, *, before: UUID | None, limit: int
) -> list[Row[Any]]:
    """Partners that the scope shows, newest first."""
    values = {
        "before": before,
        "limit": limit,
        "client": wanted.client_id,
        "disabled": wanted.is_disabled,
        "words": [f"%{as_letters(word)}%" for word in wanted.words],
    }
    return list(session.execute(_LIST, values))


def read_partner(session: Session, partner_id: UUID) -> Row[Any]:
    """One of them; raises `NotFound`."""
    row = session.execute(_ONE, {"partner": partner_id}).one_or_none()
    if row is None:
        raise NotFound
    return row


def standing_of(session: Session, partner_id: UUID, *, now: datetime) -> Row[Any]:
    """Claims of this month in the partner's zone, and visits that go on."""
    return session.execute(_STANDING, {"partner": partner_id, "now": now}).one()


def claims_this_month(
    session: Session, partner_ids: Collection[UUID], *, now: datetime
) -> dict[UUID, int]:
    """How many claims each of them has this month, in its own zone."""
    found = session.execute(_CLAIMS, {"partners": list(partner_ids), "now": now})
    return {row.id: row.claims for row in found}


def refusals_of(session: Session, partner_id: UUID, *, now: datetime) -> list[Row[Any]]:
    """What was refused in the last thirty days, by code, the most frequent first."""
    values = {"partner": partner_id, "now": now, "days": REFUSALS_DAYS}
    return list(session.execute(_REFUSALS, values))
