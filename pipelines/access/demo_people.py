"""People whose passwords everybody knows: the demo's, and whoever stands in its domains."""

from sqlalchemy import text
from sqlalchemy.orm import Session

# RFC 2606 keeps these for examples: nobody can be written to there.
_DEMO_PEOPLE = text("""
SELECT count(*) FROM users WHERE disabled_at IS NULL AND password_hash IS NOT NULL
    AND email_normalised ~ '@(.+\\.)?(example\\.(com|net|org)|example|invalid|test)$'
""")


def demo_people(session: Session) -> list[str]:
    """Why production does not start while they can sign in (SEC-37); empty if none can."""
    count = session.execute(_DEMO_PEOPLE).scalar_one()
    if not count:
        return []
    return [
        (
            f"{count} people at example.com and the like can sign in: demo users, whose passwords "
            "are known. Disable them, or give production a database of its own."
        )
    ]
