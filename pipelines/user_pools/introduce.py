"""Make a client know a person whom the caller sees and the client does not yet."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

# The policies of both tables decide what the caller sees.
_INTRODUCE = text("""
INSERT INTO client_users (client_id, user_id, agency_id, email, email_normalised, name, disabled_at)
SELECT c.id, u.id, c.agency_id, u.email, u.email_normalised, u.name, u.disabled_at
FROM users u, clients c WHERE u.id = :user AND c.id = :client
ON CONFLICT DO NOTHING
""")


def introduce(session: Session, *, client_id: UUID, user_id: UUID) -> bool:
    """In the scope of a platform or an agency: False for whom that scope does not show."""
    made = session.execute(_INTRODUCE, {"client": client_id, "user": user_id})
    return bool(made.rowcount)  # type: ignore[attr-defined]
