"""Read the audit log: what the scope in force may see of it, newest first."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, func, select, text, tuple_
from sqlalchemy.orm import Session

from models.oversight import AuditEntry
from pipelines.audit.chain import PLATFORM_STREAM, stream_sql

#: Actors counted by name in a summary; the total counts everybody.
ACTORS_MAX = 500

_ENTRIES: Select[*tuple[Any, ...]] = select(
    AuditEntry.id,
    AuditEntry.at,
    AuditEntry.sequence,
    AuditEntry.action,
    AuditEntry.actor_id,
    AuditEntry.actor_role,
    AuditEntry.on_behalf_of,
    AuditEntry.object_kind,
    AuditEntry.object_id,
    AuditEntry.detail,
    AuditEntry.request_id,
    AuditEntry.job_id,
    AuditEntry.address,
)
_STANDING = text(f"""
SELECT coalesce(h.sequence, 0) AS sealed_to, w.sequence AS witnessed_to, w.at AS witnessed_at,
    (SELECT count(*) FROM audit_entries e
     WHERE e.sequence IS NULL AND {stream_sql("e")} = q.stream) AS unsealed
FROM (SELECT CAST(:stream AS text) AS stream) q
LEFT JOIN audit_heads h ON h.stream = q.stream
LEFT JOIN LATERAL (SELECT sequence, at FROM audit_witnesses w WHERE w.stream = q.stream
                   ORDER BY sequence DESC LIMIT 1) w ON true
""")


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """What is looked for; None looks at all."""

    object_id: UUID | None = None
    object_kind: str | None = None
    actor_id: UUID | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        equal = {
            AuditEntry.object_id: self.object_id,
            AuditEntry.object_kind: self.object_kind,
            AuditEntry.actor_id: self.actor_id,
            AuditEntry.action: self.action,
        }
        found = [column == value for column, value in equal.items() if value is not None]
        if self.since is not None:
            found.append(AuditEntry.at >= self.since)
        if self.until is not None:
            found.append(AuditEntry.at < self.until)
        return found


@dataclass(frozen=True, slots=True)
class Summary:
    """How often what was done, and by whom."""

    total: int
    actions: list[Row[Any]]
    actors: list[Row[Any]]


def list_entries(
    session: Session, wanted: EntryFilter, *, before: UUID | None, limit: int
) -> list[Row[Any]]:
    """Entries that the scope sees, newest first, after the entry `before`."""
    query = _ENTRIES.where(*wanted.conditions())
    if before is not None:
        place = select(AuditEntry.at, AuditEntry.id).where(AuditEntry.id == before)
        query = query.where(tuple_(AuditEntry.at, AuditEntry.id) < place.scalar_subquery())
    newest = (AuditEntry.at.desc(), AuditEntry.id.desc())
    return list(session.execute(query.order_by(*newest).limit(limit)))


def summarise(session: Session, *, since: datetime, until: datetime) -> Summary:
    """Entries that the scope sees, counted by action and by actor."""
    within = EntryFilter(since=since, until=until).conditions()
    times = func.count().label("times")
    by_action = select(AuditEntry.action, times).where(*within).group_by(AuditEntry.action)
    by_actor = (
        select(AuditEntry.actor_id, times, func.max(AuditEntry.at).label("last_at"))
        .where(*within)
        .group_by(AuditEntry.actor_id)
    )
    actions: Any = session.execute(by_action.order_by(times.desc(), AuditEntry.action))
    actors: Any = session.execute(
        by_actor.order_by(times.desc(), AuditEntry.actor_id).limit(ACTORS_MAX)
    )
    found = list(actions)
    return Summary(sum(row.times for row in found), found, list(actors))


def stream_of(agency_id: UUID | None, client_id: UUID | None) -> str:
    """The stream of a tenant's own entries."""
    return "/".join(str(one) for one in (agency_id, client_id) if one) or PLATFORM_STREAM


def standing_of(session: Session, stream: str) -> Row[Any]:
    """How far a stream is sealed and witnessed, in the SYSTEM scope."""
    found: Row[Any] = session.execute(_STANDING, {"stream": stream}).one()
    return found
