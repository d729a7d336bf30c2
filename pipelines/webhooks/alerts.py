"""Tell endpoints of alerts: raised, worse, over (S4-034)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.alerts import handle
from pipelines.alerts.fold import Happened, News
from pipelines.alerts.kinds import kind_named
from pipelines.webhooks.catalogue import ALERT_ESCALATED, ALERT_RAISED, ALERT_RESOLVED, EventType
from pipelines.webhooks.happened import Event, all_happened

_TYPES: Mapping[Happened, EventType] = {
    Happened.RAISED: ALERT_RAISED,
    Happened.ESCALATED: ALERT_ESCALATED,
    Happened.RESOLVED: ALERT_RESOLVED,
}
_ALERTS = text("""
SELECT id, kind, subject_id, severity, level, agency_id, client_id FROM alerts WHERE id = ANY(:ids)
""")


def announce(session: Session, news: Sequence[News], *, now: datetime) -> None:
    """Note what became of alerts, in the transaction that made it so."""
    if not news:
        return
    found = session.execute(_ALERTS, {"ids": [one.alert_id for one in news]})
    rows = {row.id: row for row in found}
    told = [_event(rows[one.alert_id], _TYPES[one.happened]) for one in news]
    all_happened(session, told, now=now)


def resolve_and_tell(
    session: Session, alert_id: UUID, *, note: str | None, actor_id: UUID, now: datetime
) -> None:
    """As `handle.resolve`, by a person; endpoints are told of it."""
    handle.resolve(session, alert_id, note=note, actor_id=actor_id, now=now)
    announce(session, [News(alert_id, Happened.RESOLVED)], now=now)


def _event(row: Row[Any], kind: EventType) -> Event:
    data = {
        "kind": row.kind,
        "severity": row.severity,
        "level": row.level,
        "subject_kind": kind_named(row.kind).subject,
        "subject_id": row.subject_id and str(row.subject_id),
    }
    return Event(kind, row.id, row.agency_id, row.client_id, data)
