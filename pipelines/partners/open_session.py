"""A partner's token becomes a visit: verified, spent, its user known, all or nothing (S0-18).

What is looked up is the same for a partner that is and one that is not (EC-115).
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import Row, insert, text
from sqlalchemy.orm import Session

from models import clock
from models.base import new_id
from models.database import Sessions, scoped_transaction
from models.locks import Namespace, share_lock
from models.partners import WidgetSession
from models.scope import SYSTEM, client
from pipelines.partners.note_refusal import note_refusal
from pipelines.partners.refusals import (
    InvalidToken,
    OriginNotAllowed,
    TokenRefused,
    TokenReplayed,
)
from pipelines.partners.secrets import LiveSecret, live_secrets
from pipelines.partners.sessions import SESSION_LIFETIME, digest_of, new_token, refuse_origin
from pipelines.partners.tokens import (
    LEEWAY_SECONDS,
    PartnerToken,
    TokenFault,
    named_partner,
    read_token,
)
from pipelines.partners.told import PUBLIC
from pipelines.sealing import Keyring

#: How long a spent token is remembered after nobody takes it any more.
REMEMBERED = timedelta(hours=1)

_PARTNER = text("""
SELECT id, agency_id, client_id, origins, disabled_at IS NOT NULL AS is_disabled
FROM partners WHERE id = :partner
""")
# Once the lock is there: whoever ended the secret has committed then, and this statement sees it.
_STILL = text("""
SELECT p.origins FROM partners p
WHERE p.id = :partner AND p.disabled_at IS NULL AND EXISTS (
    SELECT FROM partner_secrets s WHERE s.id = :secret AND s.partner_id = p.id
      AND (s.ends_at IS NULL OR s.ends_at > :now))
""")
_SPEND = text("""
INSERT INTO spent_tokens (partner_id, jti_hash, forget_at) VALUES (:partner, :jti, :forget_at)
ON CONFLICT DO NOTHING
""")
_IS_SPENT = text("SELECT FROM spent_tokens WHERE partner_id = :partner AND jti_hash = :jti")
_KNOW = text("SELECT know_partner_user(:agency, :client, :partner, :external_id, :id, :now)")
# Once a minute, by whoever comes first: nobody waits for that, and no visit is lost by it.
_SEEN_PARTNER = text("""
UPDATE partners SET token_at = :now WHERE id = (
    SELECT id FROM partners WHERE id = :partner
      AND coalesce(token_at < CAST(:now AS timestamptz) - interval '1 minute', true)
    FOR NO KEY UPDATE SKIP LOCKED)
""")
_SEEN_SECRET = text("""
UPDATE partner_secrets SET used_at = :now WHERE id = (
    SELECT id FROM partner_secrets WHERE id = :secret
      AND coalesce(used_at < CAST(:now AS timestamptz) - interval '1 minute', true)
    FOR NO KEY UPDATE SKIP LOCKED)
""")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the visit is to be: the site that asks by itself, or the one around the widget's frame."""

    #: Of the request, as its browser says it; None where no page asks, or one of ours.
    origin: str | None
    #: The site around the frame, as the frame saw it.
    host_origin: str | None = None

    @property
    def site(self) -> str | None:
        return self.origin or self.host_origin


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A visit, and the token that proves it: told once."""

    token: str = field(repr=False)
    expires_at: datetime
    user_id: UUID
    partner_id: UUID


@dataclass(frozen=True, slots=True)
class _Trusted:
    partner: Row[Any]
    said: PartnerToken
    secret_id: UUID


class SpentMemory(Protocol):
    """What is quickly known of spent tokens (Redis): it may forget at any moment, and nothing rests on it."""

    def knows(self, partner_id: UUID, digest: bytes) -> bool:
        """Whether this token has certainly opened a visit."""

    def keep(self, partner_id: UUID, digest: bytes, *, seconds: int) -> None:
        """Remember one that has, for as long as anybody would take it."""


def open_session(
    sessions: Sessions, token: str, place: Place, *, keyring: Keyring, memory: SpentMemory
) -> OpenedSession:
    """Open a visit for the user that the token names. Raises `TokenRefused`, `OriginNotAllowed`.

    A refusal is counted for the partner whose token it is or claims to be.
    """
    partner_id = named_partner(token)
    with scoped_transaction(sessions, SYSTEM) as session:
        now = clock.now(session)
        partner = session.execute(_PARTNER, {"partner": partner_id}).one_or_none()
        secrets = live_secrets(session, partner_id, keyring=keyring, now=now)
    try:
        trusted = _trusted(token, partner, secrets, now)
        _refuse_place(place, partner)
        if check_jti_replay(trusted, memory):
            raise TokenReplayed
        try:
            opened = _open(sessions, trusted, place)
        except TokenReplayed:
            _keep(memory, trusted, now)
            raise
    except (TokenRefused, OriginNotAllowed) as refusal:
        if partner is not None:
            note_refusal(sessions, partner, refusal.code)
        raise
    _keep(memory, trusted, now)
    return opened


def jti_digest(jti: str) -> bytes:
    """What is kept of a token's own name."""
    return hashlib.sha256(jti.encode()).digest()


def check_jti_replay(trusted: _Trusted, memory: SpentMemory) -> bool:
    """Whether the token is known to be spent, before anything is written (S0-28).

    The row that is written with the visit decides: see `_open`.
    """
    return memory.knows(trusted.partner.id, jti_digest(trusted.said.jti))


def is_spent(session: Session, partner_id: UUID, jti: str) -> bool:
    """Whether a token with this name has opened a visit lately."""
    values = {"partner": partner_id, "jti": jti_digest(jti)}
    return session.execute(_IS_SPENT, values).one_or_none() is not None


def _keep(memory: SpentMemory, trusted: _Trusted, now: datetime) -> None:
    """Only once it is certain: whoever was refused for another reason may come again."""
    left = int(trusted.said.expires_at - now.timestamp()) + LEEWAY_SECONDS
    memory.keep(trusted.partner.id, jti_digest(trusted.said.jti), seconds=max(1, left))


def _trusted(
    token: str, partner: Row[Any] | None, secrets: list[LiveSecret], now: datetime
) -> _Trusted:
    keys = [secret.key.reveal() for secret in secrets]
    is_at_work = partner is not None and not partner.is_disabled
    try:
        said = read_token(token, keys, partner_id=partner.id if partner else None, now=now)
    except TokenFault as fault:
        told = PUBLIC.get(fault.fault, InvalidToken) if is_at_work else InvalidToken
        raise told from None
    if partner is None or not is_at_work:
        raise InvalidToken
    return _Trusted(partner, said, secrets[said.secret].id)


def _refuse_place(place: Place, partner: Row[Any] | None) -> None:
    assert partner is not None, "a genuine token is some partner's"
    refuse_origin(place.origin, partner.origins)
    refuse_origin(place.host_origin, partner.origins)
    if place.origin is not None and place.host_origin not in (None, place.origin):
        raise OriginNotAllowed


def _open(sessions: Sessions, trusted: _Trusted, place: Place) -> OpenedSession:
    partner, said = trusted.partner, trusted.said
    with scoped_transaction(sessions, client(partner.client_id)) as session:
        now = clock.now(session)
        asked = {"partner": partner.id, "secret": trusted.secret_id, "now": now}
        share_lock(session, Namespace.PARTNER, str(partner.id))
        still = session.execute(_STILL, asked).one_or_none()
        if still is None:
            raise InvalidToken
        # It may have been taken off the list since.
        refuse_origin(place.site, still.origins)
        forget_at = (
            datetime.fromtimestamp(said.expires_at + LEEWAY_SECONDS, now.tzinfo) + REMEMBERED
        )
        spent = {"partner": partner.id, "jti": jti_digest(said.jti), "forget_at": forget_at}
        if not session.execute(_SPEND, spent).rowcount:  # type: ignore[attr-defined]
            raise TokenReplayed
        named = {
            "agency": partner.agency_id,
            "client": partner.client_id,
            "external_id": said.external_id,
            "id": new_id(),
        }
        user_id: UUID = session.execute(_KNOW, asked | named).scalar_one()
        token = new_token()
        session.execute(
            insert(WidgetSession).values(
                id=new_id(),
                agency_id=partner.agency_id,
                client_id=partner.client_id,
                partner_id=partner.id,
                user_id=user_id,
                token_hash=digest_of(token),
                origin=place.site,
                is_direct=place.origin is not None,
                expires_at=now + SESSION_LIFETIME,
                used_at=now,
                created_at=now,
            )
        )
        session.execute(_SEEN_SECRET, asked)
        session.execute(_SEEN_PARTNER, asked)
    return OpenedSession(token, now + SESSION_LIFETIME, user_id, partner.id)
