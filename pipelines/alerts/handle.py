"""What a person does about an alert: acknowledge it, let it rest, or say that it is over."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, text
from sqlalchemy.orm import Session

from models.alerts import Alert, Severity
from models.base import new_id
from pipelines.alerts.kinds import BY_HAND
from pipelines.alerts.read import alert_row
from pipelines.audit.record import record
from pipelines.errors import FieldError, Kind, Refusal, ValidationFailed
from pipelines.telemetry import scrub_text

#: What nobody looks at for longer than this is not resting but forgotten.
SNOOZE_MAX = timedelta(days=30)
NOTE_CHARACTERS_MAX = 200


class AlertResolved(Refusal):
    """The alert is over; what comes back is another alert."""

    code = "alert_resolved"
    kind = Kind.CONFLICT
    detail = "This alert is resolved already. If the trouble is back, there is a newer one."


@dataclass(frozen=True, slots=True)
class ByHand:
    """What a person has seen, and whose it is; without a tenant it is the platform's."""

    severity: Severity
    note: str
    agency_id: UUID | None = None
    client_id: UUID | None = None


# Somebody who acknowledges what another has acknowledged takes it over.
_ACKNOWLEDGE = text("""
UPDATE alerts SET state = 'acknowledged', acknowledged_by = :actor, acknowledged_at = :now,
    snoozed_until = NULL, note = coalesce(:note, note)
WHERE id = :id AND state <> 'resolved' RETURNING id
""")
_RESOLVE = text("""
UPDATE alerts SET state = 'resolved', resolved_by = :actor, resolved_at = :now,
    snoozed_until = NULL, note = coalesce(:note, note)
WHERE id = :id AND state <> 'resolved' RETURNING id
""")
_SNOOZE = text("""
UPDATE alerts SET snoozed_until = :until, note = coalesce(:note, note)
WHERE id = :id AND state <> 'resolved' RETURNING id
""")


def raise_by_hand(session: Session, seen: ByHand, *, actor_id: UUID, now: datetime) -> UUID:
    """Open an alert for what the house cannot see itself; each is an alert of its own."""
    identity = new_id()
    session.execute(
        insert(Alert).values(
            id=identity,
            kind=BY_HAND.name,
            subject_id=identity,
            agency_id=seen.agency_id,
            client_id=seen.client_id,
            severity=seen.severity.value,
            detail={},
            note=scrub_text(seen.note),
            first_seen_at=now,
            last_seen_at=now,
        )
    )
    _audit(session, "alert.raised", alert_row(session, identity, now=now), actor_id, seen.note)
    return identity


def acknowledge(
    session: Session, alert_id: UUID, *, note: str | None, actor_id: UUID, now: datetime
) -> None:
    """Say that somebody is at it. Raises `NotFound`, `AlertResolved`."""
    values = {"id": alert_id, "actor": actor_id, "note": _kept(note), "now": now}
    _moved(session, session.execute(_ACKNOWLEDGE, values).scalar(), alert_id, now=now)
    row = alert_row(session, alert_id, now=now)
    _audit(session, "alert.acknowledged", row, actor_id, note)


def resolve(
    session: Session, alert_id: UUID, *, note: str | None, actor_id: UUID, now: datetime
) -> None:
    """Say that it is over; if it is not, it comes back. Raises `NotFound`, `AlertResolved`."""
    values = {"id": alert_id, "actor": actor_id, "note": _kept(note), "now": now}
    _moved(session, session.execute(_RESOLVE, values).scalar(), alert_id, now=now)
    row = alert_row(session, alert_id, now=now)
    _audit(session, "alert.resolved", row, actor_id, note)


def snooze(
    session: Session,
    alert_id: UUID,
    *,
    until: datetime,
    note: str | None,
    actor_id: UUID,
    now: datetime,
) -> None:
    """Let it rest until a time, at most 30 days ahead; it wakes sooner if it gets worse.

    Raises `NotFound`, `ValidationFailed`, `AlertResolved`.
    """
    alert_row(session, alert_id, now=now)  # whose it is comes before what is asked of it
    if not now < until <= now + SNOOZE_MAX:
        detail = f"Give a time that is to come, at most {SNOOZE_MAX.days} days ahead."
        raise ValidationFailed(errors=(FieldError("out_of_range", detail, pointer="/until"),))
    values = {"id": alert_id, "until": until, "note": _kept(note)}
    _moved(session, session.execute(_SNOOZE, values).scalar(), alert_id, now=now)
    row = alert_row(session, alert_id, now=now)
    _audit(session, "alert.snoozed", row, actor_id, note, until=until.isoformat())


def _kept(note: str | None) -> str | None:
    """A person's words without what has the shape of an address or a secret."""
    return scrub_text(note) if note else None


def _moved(session: Session, moved: UUID | None, alert_id: UUID, *, now: datetime) -> None:
    if moved is None:
        alert_row(session, alert_id, now=now)  # one that is not there is refused as such
        raise AlertResolved


def _audit(
    session: Session,
    action: str,
    row: Row[Any],
    actor_id: UUID,
    note: str | None,
    **detail: str,
) -> None:
    record(
        session,
        action,
        object_kind="alert",
        object_id=row.id,
        actor_id=actor_id,
        agency_id=row.agency_id,
        client_id=row.client_id,
        detail={"kind": row.kind, **detail, **({"reason": note} if note else {})},
    )
