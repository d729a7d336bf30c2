"""The database's time, the only clock that decides anything."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

#: SQL for the time of the transaction; every transaction reads it as it enters its scope.
#: `app.clock_offset` (an interval) is set by tests on their own connections only; production
#: boot refuses a database where it is set.
SQL = (
    "transaction_timestamp() + coalesce("
    "nullif(current_setting('app.clock_offset', true), ''), '0')::interval"
)
_NOW = text(f"SELECT {SQL}")
#: Where a session keeps it.
KEPT_AS = "now"


def now(session: Session) -> datetime:
    """When this transaction began, in UTC; the same value throughout the transaction."""
    if KEPT_AS not in session.info:
        session.connection()  # begins the transaction; with a scope, that reads the time
    if KEPT_AS not in session.info:
        session.info[KEPT_AS] = session.execute(_NOW).scalar_one()
    value: datetime = session.info[KEPT_AS]
    return value
