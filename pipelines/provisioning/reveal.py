"""Show a provisioned card to its recipient or to staff: links, the one opening, its audit."""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models import clock
from pipelines.audit.circumstances import circumstances
from pipelines.audit.record import record
from pipelines.errors import Kind, NotFound, Refusal
from pipelines.provisioning.refusals import ProvisionReplaced, ProvisionUndone
from pipelines.sealing import Keyring, Purpose, Secret


class RevealLimited(Refusal):
    """The card was opened too often in the last hour."""

    code = "rate_limited"
    kind = Kind.THROTTLED
    detail = "This card was opened several times in the last hour. Try again later."


#: SEC-18: openings of one card in an hour.
REVEALS_PER_HOUR_MAX = 5
TAG_BYTES = 16
#: The version of a card's first links.
FIRST_VERSION = 1
_LABEL = "reveal-links"
#: What a malformed token names: it is looked for like any other.
NOBODY = (UUID(int=0), bytes(TAG_BYTES))


@dataclass(frozen=True, slots=True)
class OpenedCard:
    """A card laid open; its repr stays masked because every secret is a `Secret`."""

    number: Secret
    pin: Secret | None
    url: Secret | None
    expires_on: date | None
    brand: str
    value_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class RevealFacts:
    """What the reveal page may show before anything is opened."""

    provision_id: UUID
    client_id: UUID
    brand: str
    value_minor: int
    currency: str
    last4: str
    revealed_at: datetime | None
    #: Who sends it, and the last day on which the shop takes it.
    sender: str
    expires_on: date | None
    is_expired: bool


_FACTS = text(f"""
SELECT p.id, p.client_id, p.reveal_version, p.face_value_minor, p.currency, p.last4,
    p.revealed_at, p.undone_at IS NOT NULL AS is_undone,
    p.replaced_at IS NOT NULL AS is_replaced, b.name AS brand, l.name AS sender,
    c.expires_on, c.expires_on < CAST({clock.SQL} AS date) AS is_expired
FROM provisions p JOIN brands b ON b.id = p.brand_id JOIN clients l ON l.id = p.client_id
LEFT JOIN cards c ON c.id = p.card_id WHERE p.id = :provision
""")
# A card that was taken back is not visible in this scope any more: the join must not hide that.
_CARD = text("""
SELECT p.id, p.agency_id, p.client_id, p.face_value_minor, p.currency, b.name AS brand,
    p.undone_at IS NOT NULL AS is_undone, p.replaced_at IS NOT NULL AS is_replaced,
    c.id AS card_id, c.sealed_number, c.sealed_pin,
    c.sealed_url, c.expires_on
FROM provisions p JOIN brands b ON b.id = p.brand_id LEFT JOIN cards c ON c.id = p.card_id
WHERE p.id = :provision FOR NO KEY UPDATE OF p
""")
_OPENED_LATELY = text("""
SELECT count(*) FROM audit_entries
WHERE client_id = :client AND object_id = :provision AND action = 'card.revealed'
  AND at > CAST(:now AS timestamptz) - interval '1 hour'
""")
_NOTE = text("UPDATE provisions SET revealed_at = coalesce(revealed_at, :now) WHERE id = :id")


def reveal_token(provision_id: UUID, version: int, keyring: Keyring) -> str:
    """The token of a reveal link: rendered when needed, never stored."""
    return spell_token(provision_id, _tag(provision_id, version, keyring))


def spell_token(identity: UUID, tag: bytes) -> str:
    """How a link names something and proves that it may."""
    return base64.urlsafe_b64encode(identity.bytes + tag).rstrip(b"=").decode()


def read_token(token: str) -> tuple[UUID, bytes]:
    """The provision a token names and its tag; one that nobody has for anything malformed."""
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError:
        return NOBODY
    if len(raw) != 16 + TAG_BYTES:
        return NOBODY
    return UUID(bytes=raw[:16]), raw[16:]


def facts_by_token(session: Session, token: str, keyring: Keyring) -> RevealFacts:
    """What a link's page shows; `NotFound` for a wrong, dead, unknown or malformed link alike.

    Each of them costs the same: one look and two comparisons (EC-029).
    """
    provision_id, tag = read_token(token)
    row = session.execute(_FACTS, {"provision": provision_id}).one_or_none()
    version = row.reveal_version if row is not None else 0
    is_genuine = hmac.compare_digest(tag, _tag(provision_id, version, keyring))
    is_last = hmac.compare_digest(tag, _tag(provision_id, max(0, version - 1), keyring))
    if row is not None and (row.is_undone or row.is_replaced):
        # That raised the version: who holds the last good link is told what became of it.
        gone = ProvisionUndone if row.is_undone else ProvisionReplaced
        raise gone if is_last or is_genuine else NotFound
    if row is None or not is_genuine:
        raise NotFound
    return RevealFacts(
        provision_id,
        row.client_id,
        row.brand,
        row.face_value_minor,
        row.currency,
        row.last4,
        row.revealed_at,
        sender=row.sender,
        expires_on=last_day(row.expires_on),
        is_expired=bool(row.is_expired),
    )


def reveal(
    session: Session,
    provision_id: UUID,
    *,
    actor_id: UUID | None,
    keyring: Keyring,
    now: datetime,
) -> OpenedCard:
    """Open the card of a provision, audited before it is shown; at most five times an hour."""
    row = session.execute(_CARD, {"provision": provision_id}).one_or_none()
    if row is None:
        raise NotFound
    if row.is_undone:
        raise ProvisionUndone
    if row.is_replaced:
        raise ProvisionReplaced
    values = {"client": row.client_id, "provision": row.id, "now": now}
    if session.execute(_OPENED_LATELY, values).scalar_one() >= REVEALS_PER_HOUR_MAX:
        raise RevealLimited(retry_after_seconds=3600)
    record(
        session,
        "card.revealed",
        object_kind="provision",
        object_id=row.id,
        actor_id=actor_id,
        agency_id=row.agency_id,
        client_id=row.client_id,
        detail={"agent": circumstances().agent} if actor_id is None else None,
    )
    session.execute(_NOTE, {"id": row.id, "now": now})

    def opened(sealed: bytes | None, purpose: Purpose, column: str) -> Secret | None:
        if sealed is None:
            return None
        return keyring.open_sealed(
            purpose, sealed, table="cards", row_id=row.card_id, column=column
        )

    number = opened(row.sealed_number, Purpose.CODES, "sealed_number")
    assert number is not None
    return OpenedCard(
        number=number,
        pin=opened(row.sealed_pin, Purpose.PINS, "sealed_pin"),
        url=opened(row.sealed_url, Purpose.CODES, "sealed_url"),
        expires_on=last_day(row.expires_on),
        brand=row.brand,
        value_minor=row.face_value_minor,
        currency=row.currency,
    )


def last_day(expires_on: date | None) -> date | None:
    """A card without a date is kept with one that never comes."""
    return None if expires_on is None or expires_on.year == 2099 else expires_on


def _tag(provision_id: UUID, version: int, keyring: Keyring) -> bytes:
    message = provision_id.bytes + version.to_bytes(4, "big")
    return hmac.digest(keyring.lasting_key(_LABEL), message, hashlib.sha256)[:TAG_BYTES]
