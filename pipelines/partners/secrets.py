"""The keys by which partners sign: drawn here, shown once, replaced with or without overlap (EC-106)."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, text
from sqlalchemy.orm import Session

from models.base import new_id
from models.locks import Namespace, wait_for_lock
from models.partners import PartnerSecret
from pipelines.audit.record import record
from pipelines.errors import NotFound
from pipelines.partners.refusals import SecretRotating
from pipelines.partners.sessions import revoke_sessions
from pipelines.partners.tokens import new_secret
from pipelines.sealing import Keyring, Purpose, Secret

#: How long the secret before goes on, where nothing else is said; at most a month.
OVERLAP_SECONDS = 24 * 3600
OVERLAP_SECONDS_MAX = 30 * 24 * 3600
_TABLE, _COLUMN = "partner_secrets", "secret_sealed"
LAST_CHARACTERS = 4

_LIVE = text("""
SELECT id, secret_sealed FROM partner_secrets
WHERE partner_id = :partner AND secret_sealed IS NOT NULL AND (ends_at IS NULL OR ends_at > :now)
ORDER BY id DESC
""")
_SHOWN = text("""
SELECT id, last4, ends_at, used_at, created_by, created_at FROM partner_secrets
WHERE partner_id = :partner AND secret_sealed IS NOT NULL AND (ends_at IS NULL OR ends_at > :now)
ORDER BY id DESC
""")
_HOLD = text("""
SELECT id, agency_id, client_id FROM partners WHERE id = :partner FOR NO KEY UPDATE
""")
_END_CURRENT = text("""
UPDATE partner_secrets SET ends_at = :ends_at WHERE partner_id = :partner AND ends_at IS NULL
""")
_END_ALL = text("""
UPDATE partner_secrets SET ends_at = least(ends_at, :now), secret_sealed = NULL
WHERE partner_id = :partner AND secret_sealed IS NOT NULL
""")
_FORGET_ENDED = text("""
UPDATE partner_secrets SET secret_sealed = NULL
WHERE partner_id = :partner AND secret_sealed IS NOT NULL AND ends_at <= :now
""")


@dataclass(frozen=True, slots=True)
class LiveSecret:
    """A key that signs now, as base64."""

    id: UUID
    key: Secret


@dataclass(frozen=True, slots=True)
class DrawnSecret:
    """A new key; its text is shown to whoever drew it, and never again."""

    id: UUID
    text: str = field(repr=False)
    visits_ended: int


def live_secrets(
    session: Session, partner_id: UUID | None, *, keyring: Keyring, now: datetime
) -> list[LiveSecret]:
    """The partner's keys that are good now, the present one first."""
    rows = session.execute(_LIVE, {"partner": partner_id, "now": now})
    return [LiveSecret(row.id, _opened(keyring, row)) for row in rows]


def shown_secrets(session: Session, partner_id: UUID, *, now: datetime) -> list[Row[Any]]:
    """What may be told of the keys that are good now, the present one first; never their text."""
    return list(session.execute(_SHOWN, {"partner": partner_id, "now": now}))


def rotate_secret(
    session: Session,
    partner_id: UUID,
    *,
    overlap_seconds: int,
    actor_id: UUID,
    keyring: Keyring,
    now: datetime,
) -> DrawnSecret:
    """Draw the partner's secret, or another one. Raises `NotFound`, `SecretRotating`.

    The one before is good for `overlap_seconds` more. With 0 it is taken as known to a stranger:
    all before end at once, and so does every visit.
    """
    wait_for_lock(session, Namespace.PARTNER, str(partner_id))
    partner = session.execute(_HOLD, {"partner": partner_id}).one_or_none()
    if partner is None:
        raise NotFound
    before = shown_secrets(session, partner_id, now=now)
    visits_ended = 0
    if overlap_seconds == 0:
        session.execute(_END_ALL, {"partner": partner_id, "now": now})
        visits_ended = revoke_sessions(session, partner_id, now=now)
    elif len(before) > 1:
        raise SecretRotating
    else:
        session.execute(_FORGET_ENDED, {"partner": partner_id, "now": now})
        ends_at = now + timedelta(seconds=overlap_seconds)
        session.execute(_END_CURRENT, {"partner": partner_id, "ends_at": ends_at})
    drawn = DrawnSecret(new_id(), new_secret(), visits_ended)
    _keep(session, partner, drawn, actor_id, keyring, now)
    _audit(session, partner, actor_id, overlap_seconds if before else None, visits_ended)
    return drawn


def _keep(
    session: Session,
    partner: Row[Any],
    drawn: DrawnSecret,
    actor_id: UUID,
    keyring: Keyring,
    now: datetime,
) -> None:
    sealed = keyring.seal(
        Purpose.SECRETS, drawn.text, table=_TABLE, row_id=drawn.id, column=_COLUMN
    )
    session.execute(
        insert(PartnerSecret).values(
            id=drawn.id,
            agency_id=partner.agency_id,
            client_id=partner.client_id,
            partner_id=partner.id,
            secret_sealed=sealed,
            last4=drawn.text[-LAST_CHARACTERS:],
            created_by=actor_id,
            created_at=now,
        )
    )


def _audit(
    session: Session,
    partner: Row[Any],
    actor_id: UUID,
    overlap_seconds: int | None,
    visits_ended: int,
) -> None:
    """`overlap_seconds` None: there was none before."""
    record(
        session,
        "partner.secret_drawn" if overlap_seconds is None else "partner.secret_rotated",
        object_kind="partner",
        object_id=partner.id,
        actor_id=actor_id,
        agency_id=partner.agency_id,
        client_id=partner.client_id,
        detail={"overlap_seconds": overlap_seconds, "visits_ended": visits_ended},
    )


def _opened(keyring: Keyring, row: Row[Any]) -> Secret:
    return keyring.open_sealed(
        Purpose.SECRETS, row.secret_sealed, table=_TABLE, row_id=row.id, column=_COLUMN
    )
