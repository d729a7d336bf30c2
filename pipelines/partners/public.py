"""What anybody may learn of partners: where one's widget may be shown, and whether a site shows any."""

from uuid import UUID

from sqlalchemy import text

from models.database import Sessions, scoped_transaction
from models.scope import SYSTEM

_ORIGINS = text("SELECT origins FROM partners WHERE id = :partner AND disabled_at IS NULL")
# `@>` and not `= ANY`: only that asks the index.
_IS_LISTED = text("""
SELECT EXISTS (SELECT FROM partners
               WHERE origins @> ARRAY[CAST(:origin AS text)] AND disabled_at IS NULL)
""")


def allowed_origins(sessions: Sessions, partner_id: UUID) -> tuple[str, ...]:
    """The sites that may show the partner's widget; none of one that is not there or is disabled."""
    with scoped_transaction(sessions, SYSTEM) as session:
        found = session.execute(_ORIGINS, {"partner": partner_id}).scalar_one_or_none()
    return tuple(found or ())


def is_listed(sessions: Sessions, origin: str) -> bool:
    """Whether some partner's widget may be shown there: its scripts may then read what we answer."""
    with scoped_transaction(sessions, SYSTEM) as session:
        return bool(session.execute(_IS_LISTED, {"origin": origin}).scalar_one())
