"""Which faults of the database pass by themselves: the work is sound and is tried again."""

import psycopg
from psycopg import errors as pg
from sqlalchemy.exc import DBAPIError

_PASSING = (
    pg.SerializationFailure,
    pg.DeadlockDetected,
    pg.LockNotAvailable,
    pg.AdminShutdown,
    pg.CrashShutdown,
    pg.CannotConnectNow,
    pg.TooManyConnections,
)


def is_line_lost(fault: Exception) -> bool:
    """Whether the connection was lost or never made: a COMMIT on its way may have been done."""
    if not isinstance(fault, DBAPIError):
        return False
    inner = fault.orig
    never_answered = isinstance(inner, psycopg.OperationalError) and inner.sqlstate is None
    return fault.connection_invalidated or never_answered


def is_passing(fault: Exception) -> bool:
    """Whether the database said, or its silence says: not now."""
    return is_line_lost(fault) or (
        isinstance(fault, DBAPIError) and isinstance(fault.orig, _PASSING)
    )
