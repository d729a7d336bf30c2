"""Fold signals into alerts: one alert per kind and subject, told again only when it gets worse."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.base import new_id
from models.locks import Namespace, wait_for_lock

#: A pass takes this many signals; one that was full is followed by another.
SIGNALS_PER_PASS = 1_000


class Happened(StrEnum):
    RAISED = "raised"
    ESCALATED = "escalated"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class News:
    """What a pass changed that somebody may want to be told of."""

    alert_id: UUID
    happened: Happened


@dataclass(frozen=True, slots=True)
class Folded:
    """Whether more signals may wait, and what the pass changed."""

    is_full: bool
    news: tuple[News, ...]


@dataclass(frozen=True, slots=True)
class Sightings:
    """All signals of one kind and subject in a pass: the last of them says how things stand."""

    last: Row[Any]
    seen: int


# The detail as text: it is only passed on.
_TAKE = text("""
WITH taken AS (
    DELETE FROM alert_signals WHERE id = ANY (ARRAY(
        SELECT id FROM alert_signals ORDER BY id LIMIT :limit))
    RETURNING *
)
SELECT id, kind, subject_id, agency_id, client_id, severity, level, is_over,
    CAST(detail AS text) AS detail, at
FROM taken ORDER BY kind, subject_id, agency_id, client_id, id
""")
_OPEN = text("""
SELECT id, level FROM alerts
WHERE kind = :kind AND subject_id IS NOT DISTINCT FROM :subject
  AND agency_id IS NOT DISTINCT FROM :agency AND client_id IS NOT DISTINCT FROM :client
  AND state <> 'resolved'
FOR NO KEY UPDATE
""")
_RAISE = text("""
INSERT INTO alerts (id, kind, subject_id, agency_id, client_id, severity, level, seen, detail,
                    first_seen_at, last_seen_at)
VALUES (:id, :kind, :subject, :agency, :client, :severity, :level, :seen, CAST(:detail AS jsonb),
        :at, :at)
""")
_SEEN_AGAIN = text("""
UPDATE alerts SET seen = seen + :seen, last_seen_at = greatest(last_seen_at, :at),
    detail = CAST(:detail AS jsonb), severity = :severity, level = :level,
    state = CASE WHEN :is_worse THEN 'open' ELSE state END,
    snoozed_until = CASE WHEN :is_worse THEN NULL ELSE snoozed_until END,
    acknowledged_by = CASE WHEN :is_worse THEN NULL ELSE acknowledged_by END,
    acknowledged_at = CASE WHEN :is_worse THEN NULL ELSE acknowledged_at END
WHERE id = :id
""")
_OVER = text("UPDATE alerts SET state = 'resolved', resolved_at = :at WHERE id = :id")
_FORGET = text("DELETE FROM alerts WHERE resolved_at < :before")


def fold_signals(session: Session, *, limit: int = SIGNALS_PER_PASS) -> Folded:
    """Turn the oldest signals into alerts, in the system's scope; folders take turns.

    What was seen and over again between two passes never becomes an alert.
    """
    wait_for_lock(session, Namespace.ALERTS, "fold")
    signals = session.execute(_TAKE, {"limit": limit}).all()
    news = [told for one in _sightings(signals) if (told := _fold(session, one)) is not None]
    return Folded(len(signals) == limit, tuple(news))


def forget_alerts(session: Session, *, before: datetime) -> None:
    """Drop alerts that were resolved before this time; the audit log keeps who did what."""
    session.execute(_FORGET, {"before": before})


def _sightings(signals: Iterable[Row[Any]]) -> Iterable[Sightings]:
    """One per kind and subject: how often it was seen since it was last told as over."""
    for _key, group in groupby(signals, lambda s: (s.kind, s.subject_id, s.agency_id, s.client_id)):
        seen = 0
        for signal in group:
            seen = 0 if signal.is_over else seen + 1
        yield Sightings(signal, seen)


def _fold(session: Session, sighting: Sightings) -> News | None:
    last = sighting.last
    key = {
        "kind": last.kind,
        "subject": last.subject_id,
        "agency": last.agency_id,
        "client": last.client_id,
    }
    standing = session.execute(_OPEN, key).one_or_none()
    if last.is_over:
        return None if standing is None else _over(session, standing.id, last.at)
    facts = {
        "severity": last.severity,
        "level": last.level,
        "seen": sighting.seen,
        "detail": last.detail,
        "at": last.at,
    }
    if standing is None:
        identity = new_id()
        session.execute(_RAISE, key | facts | {"id": identity})
        return News(identity, Happened.RAISED)
    is_worse = last.level > standing.level
    session.execute(_SEEN_AGAIN, facts | {"id": standing.id, "is_worse": is_worse})
    return News(standing.id, Happened.ESCALATED) if is_worse else None


def _over(session: Session, identity: UUID, at: datetime) -> News:
    session.execute(_OVER, {"id": identity, "at": at})
    return News(identity, Happened.RESOLVED)
