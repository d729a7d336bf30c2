"""Of which alerts a person wants to be told by mail: their own choice, or their role's."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.alerts import Severity

#: Nothing at all.
NONE = "none"
CHOICES = (*(severity.value for severity in Severity), NONE)


@dataclass(frozen=True, slots=True)
class Reader:
    """A person and whose they are."""

    user_id: UUID
    agency_id: UUID | None
    client_id: UUID | None


@dataclass(frozen=True, slots=True)
class Chosen:
    """From which severity on, one of `CHOICES`; of which kinds, or of all."""

    severity: str
    kinds: Sequence[str] | None


_CHOOSE = text("""
INSERT INTO alert_subscriptions (user_id, agency_id, client_id, severity, kinds, changed_at)
VALUES (:user, :agency, :client, :severity, CAST(:kinds AS text[]), :now)
ON CONFLICT (user_id) DO UPDATE SET agency_id = excluded.agency_id,
    client_id = excluded.client_id, severity = excluded.severity, kinds = excluded.kinds,
    changed_at = excluded.changed_at
""")
_OWN = text("SELECT severity, kinds FROM alert_subscriptions WHERE user_id = :user")
_TOLD = text("""
SELECT user_id, severity, kinds FROM alert_subscriptions WHERE severity <> 'none'
ORDER BY user_id LIMIT :limit
""")


def choose_notices(session: Session, reader: Reader, chosen: Chosen, *, now: datetime) -> None:
    """Keep a person's choice, in their own scope."""
    values = {
        "user": reader.user_id,
        "agency": reader.agency_id,
        "client": reader.client_id,
        "severity": chosen.severity,
        "kinds": None if chosen.kinds is None else list(chosen.kinds),
        "now": now,
    }
    session.execute(_CHOOSE, values)


def own_notices(session: Session, user_id: UUID, *, by_default: str) -> Chosen:
    """What a person is told of; `by_default` where they have not chosen."""
    row = session.execute(_OWN, {"user": user_id}).one_or_none()
    return Chosen(by_default, None) if row is None else Chosen(row.severity, row.kinds)


def who_is_told(session: Session, *, limit: int) -> list[Row[Any]]:
    """People of this scope who chose to be told."""
    return list(session.execute(_TOLD, {"limit": limit}))
