"""The database's time, the only clock that decides anything."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

#: `app.clock_offset` (an interval) is set by tests on their own connections only; production
#: boot refuses a database where it is set.
_NOW = text(
    "SELECT transaction_timestamp() + coalesce("
    "nullif(current_setting('app.clock_offset', true), ''), '0')::interval"
)


def now(session: Session) -> datetime:
    """When this transaction began, in UTC; the same value throughout the transaction."""
    value: datetime = session.execute(_NOW).scalar_one()
    return value
