"""People whose passwords everybody knows: those that the demo brings with it."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.access.passwords import is_password

#: As the demo's manual has them; nobody can choose these here, for they are too short.
_KNOWN = ("admin123", "demo123")
_AT_MOST = 50
# By the domain of the demo; whether it is a demo user is told by the password.
_DEMO_PEOPLE = text("""
SELECT password_hash FROM users WHERE disabled_at IS NULL AND password_hash IS NOT NULL
    AND email_normalised IN ('admin@example.com', 'alice@example.com', 'bob@example.com',
        'carol@example.com', 'charlie@example.com', 'dave@example.com', 'diana@example.com',
        'eve@example.com')
LIMIT :limit
""")


def demo_people(session: Session) -> list[str]:
    """Why production does not start while they can sign in (SEC-37); empty if none can.

    Somebody of a tenant who makes a person with such an address stops nobody by it.
    """
    hashes = session.execute(_DEMO_PEOPLE, {"limit": _AT_MOST}).scalars()
    count = sum(any(is_password(known, kept) for known in _KNOWN) for kept in hashes)
    if not count:
        return []
    return [
        (
            f"{count} demo users, whose passwords are known, can sign in. Disable them, or give "
            "production a database of its own."
        )
    ]
