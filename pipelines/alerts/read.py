"""Alerts as pages show them: newest first, by state, severity and kind."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.alerts import Severity
from pipelines.alerts.kind import AlertKind
from pipelines.alerts.kinds import kind_named
from pipelines.errors import NotFound


class ShownState(StrEnum):
    """The state of an alert as people see it: what rests is not open to them."""

    OPEN = "open"
    SNOOZED = "snoozed"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class AlertQuery:
    """Which alerts are asked for; what is None is not asked about. `unresolved` leaves out ended."""

    state: ShownState | None = None
    severity: Severity | None = None
    kind: str | None = None
    unresolved: bool = False


_SHOWN = "CASE WHEN state <> 'resolved' AND snoozed_until > :now THEN 'snoozed' ELSE state END"
_ALERTS = f"""
SELECT id, kind, subject_id, agency_id, client_id, severity, level, {_SHOWN} AS state, seen, detail,
    note, first_seen_at, last_seen_at, snoozed_until, acknowledged_by, acknowledged_at,
    resolved_by, resolved_at
FROM alerts
"""
_LIST = text(f"""{_ALERTS}
WHERE (CAST(:before AS uuid) IS NULL OR id < :before)
  AND (CAST(:state AS text) IS NULL OR {_SHOWN} = :state)
  AND (CAST(:severity AS text) IS NULL OR severity = :severity)
  AND (CAST(:kind AS text) IS NULL OR kind = :kind)
  AND (state <> 'resolved' OR NOT :unresolved)
ORDER BY id DESC LIMIT :limit
""")
_ONE = text(f"{_ALERTS} WHERE id = :id")
_TALLY = text(f"""
SELECT severity, count(*) AS alerts FROM alerts WHERE state <> 'resolved' AND {_SHOWN} = 'open'
GROUP BY severity
""")


def list_alerts(
    session: Session, asked: AlertQuery, *, before: UUID | None, limit: int, now: datetime
) -> list[Row[Any]]:
    """Alerts of this scope, newest first."""
    values = {
        "state": asked.state,
        "severity": asked.severity,
        "kind": asked.kind,
        "unresolved": asked.unresolved,
        "before": before,
        "limit": limit,
        "now": now,
    }
    return list(session.execute(_LIST, values))


def alert_row(session: Session, alert_id: UUID, *, now: datetime) -> Row[Any]:
    """One alert, or `NotFound`."""
    row = session.execute(_ONE, {"id": alert_id, "now": now}).one_or_none()
    if row is None:
        raise NotFound
    return row


def open_alerts(session: Session, *, now: datetime) -> dict[Severity, int]:
    """How many alerts of this scope wait for somebody, by severity."""
    found = session.execute(_TALLY, {"now": now})
    counts = {Severity(row.severity): int(row.alerts) for row in found}
    return {severity: counts.get(severity, 0) for severity in Severity}


def alert_view(row: Row[Any]) -> dict[str, Any]:
    """The alert of the API, with what its kind says of it."""
    kind: AlertKind = kind_named(row.kind)
    shown = dict(row._mapping)
    subject = {"kind": kind.subject, "id": shown.pop("subject_id")}
    return shown | {"subject": subject, "sentence": kind.sentence, "remedy": kind.remedy}
