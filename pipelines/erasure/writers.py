"""Whom an erasure waits for: transactions that may have read, or written, what it looks for."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.queue.work import Postpone
from pipelines.telemetry import get_logger

log = get_logger(__name__)

#: Few transactions last as long.
LOOK_AGAIN = timedelta(seconds=2)
#: Then somebody has left one open, and a person is told, at longer intervals.
PATIENCE = timedelta(minutes=5)
TELL_AGAIN = timedelta(minutes=1)
WRITERS_NAMED_MAX = 20

# What others have written is not seen before they commit. The snapshot knows every transaction
# under way that has written, prepared ones and other databases' too; whose it is, is asked
# afterwards: what nobody answers for counts as ours, for it may just be ending.
WAITED_FOR = """
SELECT e.id, e.waits_since, coalesce('pid ' || a.pid, 'prepared transaction ' || p.gid,
                                     'transaction ' || CAST(w.xid AS text)) AS writer
FROM erasures e
JOIN pg_snapshot_xip(pg_current_snapshot()) AS w (xid)
  ON w.xid < CAST(CAST(e.waits_for AS text) AS xid8)
LEFT JOIN pg_stat_activity a ON a.backend_xid = CAST(w.xid AS xid)
LEFT JOIN pg_prepared_xacts p ON p.transaction = CAST(w.xid AS xid)
WHERE e.state = 'running' AND e.after_job_id = '00000000-0000-0000-0000-000000000000'
  AND coalesce(a.datname, p.database, current_database()) = current_database()
"""
_OF_ONE = text(f"{WAITED_FOR} AND e.id = :id ORDER BY w.xid LIMIT :limit")


def wait_for_writers(session: Session, erasure: Row[Any], now: datetime) -> None:
    """Raises `Postpone` while somebody writes who did when `waits_for` was noted."""
    values = {"id": erasure.id, "limit": WRITERS_NAMED_MAX}
    found = [row.writer for row in session.execute(_OF_ONE, values)]
    if not found:
        return
    if now - erasure.waits_since < PATIENCE:
        raise Postpone(now + LOOK_AGAIN, "earlier_writers")
    log.warning("erasure.waits", erasure_id=str(erasure.id), writers=found)
    raise Postpone(now + TELL_AGAIN, "earlier_writers")
