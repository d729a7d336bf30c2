"""When each standing check last looked, for pages, for the doctor and for the monitor itself."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

MONITOR = "monitor"
INTEGRITY = "integrity"
#: It looks every five minutes: after two that are missing somebody has to look after it.
SILENT_AFTER = timedelta(minutes=12)

# Who looked earlier and comes later writes nothing: what they saw may be over.
_NOTE = text("""
INSERT INTO check_runs AS c (name, at, duration_ms, ok, detail)
VALUES (:name, :at, :duration, :ok, CAST(:detail AS jsonb))
ON CONFLICT (name) DO UPDATE SET at = excluded.at, duration_ms = excluded.duration_ms,
    ok = excluded.ok, detail = excluded.detail WHERE c.at < excluded.at
RETURNING 1
""")
_LAST = text("SELECT name, at, duration_ms, ok, detail FROM check_runs WHERE name = :name")


@dataclass(frozen=True, slots=True)
class Run:
    """One look: `ok` is None where the time did not suffice to know."""

    name: str
    at: datetime
    duration_ms: int
    ok: bool | None
    detail: dict[str, Any]


def note_run(session: Session, run: Run) -> bool:
    """Write down that it looked; False if somebody who looked later has already."""
    values = {
        "name": run.name,
        "at": run.at,
        "duration": run.duration_ms,
        "ok": run.ok,
        "detail": json.dumps(run.detail),
    }
    return session.execute(_NOTE, values).one_or_none() is not None


def last_run(session: Session, name: str) -> Run | None:
    """The last look, in any scope; None before the first."""
    row = session.execute(_LAST, {"name": name}).one_or_none()
    return None if row is None else Run(*row)


def is_silent(run: Run | None, *, now: datetime) -> bool:
    """Whether the monitor has not looked for so long that silence means nothing."""
    return run is None or now - run.at > SILENT_AFTER
