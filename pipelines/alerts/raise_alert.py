"""Say that something is wrong, or is over again, in the transaction that notices it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.orm import Session

from models.alerts import AlertSignal, Severity
from models.base import new_id
from pipelines.alerts.kind import AlertKind


def raise_alert(
    session: Session,
    kind: AlertKind,
    *,
    subject_id: UUID | None,
    detail: Mapping[str, str | int | None],
    now: datetime,
    agency_id: UUID | None = None,
    client_id: UUID | None = None,
    severity: Severity | None = None,
    level: int = 0,
) -> None:
    """Note trouble of `kind` with a subject; from any scope, and as often as it is seen.

    One alert stands for all sightings; a higher `level` than it had is told again. `detail` holds
    ids, numbers and our own codes: an alert is mailed and shown to whoever may see its tenant.
    Without a tenant it is the platform's.
    """
    seen = Sighting(kind, subject_id, agency_id, client_id, level, detail, severity)
    signal_all(session, [seen], now=now)


def settle_alert(
    session: Session,
    kind: AlertKind,
    *,
    subject_id: UUID | None,
    now: datetime,
    agency_id: UUID | None = None,
    client_id: UUID | None = None,
) -> None:
    """Note that the cause is gone; an open alert of this kind and subject resolves by itself."""
    over = Sighting(kind, subject_id, agency_id, client_id, is_over=True)
    signal_all(session, [over], now=now)


@dataclass(frozen=True, slots=True)
class Sighting:
    """One thing that was seen, or that `is_over`."""

    kind: AlertKind
    subject_id: UUID | None
    agency_id: UUID | None
    client_id: UUID | None
    level: int = 0
    detail: Mapping[str, str | int | None] = field(default_factory=dict)
    #: None: what the kind says.
    severity: Severity | None = None
    is_over: bool = False


def signal_all(session: Session, sightings: Sequence[Sighting], *, now: datetime) -> None:
    """Note many at once, as `raise_alert` and `settle_alert` do."""
    if sightings:
        session.execute(insert(AlertSignal), [_row(one, now) for one in sightings])


def _row(seen: Sighting, now: datetime) -> dict[str, object]:
    return {
        "id": new_id(),
        "kind": seen.kind.name,
        "subject_id": seen.subject_id,
        "agency_id": seen.agency_id,
        "client_id": seen.client_id,
        "severity": (seen.severity or seen.kind.severity).value,
        "level": seen.level,
        "is_over": seen.is_over,
        "detail": dict(seen.detail),
        "at": now,
    }
