"""One standing task per key, brought forward when there is something for it to do."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.queue.defer import defer
from pipelines.queue.kinds import TaskKind

# Also a task in hand is locked here: whoever puts it down to rest does so before this, and it is
# brought forward, or after this, and sees what the caller wrote.
_FORWARD = text("""
UPDATE tasks SET run_after = least(run_after, CAST(:now AS timestamptz)),
    rung_at = CASE WHEN lease_until > :now THEN rung_at END
WHERE id IN (SELECT id FROM tasks WHERE kind = :kind AND dedupe_key = ANY(:keys)
             AND state = 'ready' ORDER BY id FOR UPDATE)
RETURNING dedupe_key
""")


def wake(
    session: Session,
    kind: TaskKind,
    args_by_key: Mapping[str, Mapping[str, str | int]],
    *,
    now: datetime,
    lanes: Mapping[str, str],
) -> None:
    """Have a task of `kind` for each key at once; the last locks that a transaction takes.

    `args_by_key` has the arguments of a new task by its key, `lanes` its lane unless it is the
    system's. Each task is held until the caller commits: it cannot end without having seen what
    the caller wrote before.
    """
    missing = set(args_by_key)
    while missing:
        values = {"kind": kind.name, "keys": sorted(missing), "now": now}
        missing -= set(session.execute(_FORWARD, values).scalars())
        # Another's may have been there, and be gone by now: so it is looked for again.
        for key in sorted(missing):
            args, lane = args_by_key[key], lanes.get(key)
            defer(session, kind, args=args, now=now, lane=lane, dedupe_key=key)
