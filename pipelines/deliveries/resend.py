"""Send the link of a card again: the same card, if need be to a corrected address (EC-039)."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models import clock
from models.base import new_id
from models.deliveries import Channel
from pipelines.audit.record import record
from pipelines.errors import FieldError, Kind, NotFound, Refusal, ValidationFailed
from pipelines.jobs.addresses import Email, person_key, read_email, read_phone
from pipelines.jobs.cells import CellProblem
from pipelines.provisioning.deliveries import (
    ADDRESS,
    ADDRESS_FROM,
    COLUMN,
    GOOD_FOR,
    TABLE,
    address_of,
)
from pipelines.provisioning.effects import DELIVERED_BY
from pipelines.provisioning.refusals import ProvisionReplaced, ProvisionUndone
from pipelines.queue.defer import defer
from pipelines.queue.keys import Done, RequestKey, once
from pipelines.queue.kinds import DELIVER
from pipelines.sealing import Keyring, Purpose

#: Sendings of one card asked for in a day: a recipient is helped, not pestered.
RESENDS_PER_DAY_MAX = 5
DAY_SECONDS = 24 * 3600


class ResendLimited(Refusal):
    """The card's link was sent too often within a day."""

    code = "rate_limited"
    kind = Kind.THROTTLED
    detail = "The link of this card was sent several times within a day. Try again tomorrow."


class NothingToSendTo(Refusal):
    """Neither the request nor the card names an address."""

    code = "no_address"
    detail = "The card has no address to send to. Give `email` or `phone`, and a `reason`."


class AddressFixed(Refusal):
    """The card was seen by whoever it was sent to: another may not get it as well."""

    code = "already_revealed"
    kind = Kind.CONFLICT
    detail = "The card was opened at the address it was sent to. It is not sent to another."


@dataclass(frozen=True, slots=True)
class Resend:
    """What is asked: nothing for the same address, or another one and why."""

    provision_id: UUID
    email: str | None = field(default=None, repr=False)
    phone: str | None = field(default=None, repr=False)
    reason: str | None = None

    @property
    def names_address(self) -> bool:
        return bool(self.email or self.phone)


@dataclass(frozen=True, slots=True)
class _Target:
    channel: Channel
    #: None: the address that the card has already.
    address: str | None = field(default=None, repr=False)


_CARD = text(f"""
SELECT p.id, p.agency_id, p.client_id, p.job_id, p.position, p.revealed_at, p.delivery_method,
    p.undone_at IS NOT NULL AS is_undone, p.replaced_at IS NOT NULL AS is_replaced,
    d.id AS delivery_id, coalesce(d.channel, p.delivery_method) AS channel, {ADDRESS}
FROM provisions p JOIN items i ON i.job_id = p.job_id AND i.position = p.position
LEFT JOIN deliveries d ON d.job_id = p.job_id AND d.position = p.position
{ADDRESS_FROM}
WHERE p.id = :provision FOR NO KEY UPDATE OF p
""")
_SENT_LATELY = text("""
SELECT count(*) FROM audit_entries
WHERE client_id = :client AND object_id = :provision AND action = 'card.resent'
  AND at > CAST(:now AS timestamptz) - interval '1 day'
""")
_NEW_LINK = text("UPDATE provisions SET reveal_version = reveal_version + 1 WHERE id = :provision")
# A corrected address stays until another corrects it.
_SEND_AGAIN = text("""
INSERT INTO deliveries AS d (id, agency_id, client_id, job_id, position, channel, sealed_address,
    address_key, good_until)
VALUES (:id, :agency, :client, :job, :position, :channel, :sealed, :key, :good_until)
ON CONFLICT (job_id, position) DO UPDATE SET state = 'waiting', sending = d.sending + 1,
    attempts = 0, code = NULL, ended_at = NULL, good_until = EXCLUDED.good_until,
    channel = EXCLUDED.channel,
    sealed_address = coalesce(EXCLUDED.sealed_address, d.sealed_address),
    address_key = coalesce(EXCLUDED.address_key, d.address_key),
    address_of_id = CASE WHEN EXCLUDED.address_key IS NULL THEN d.address_of_id END
RETURNING sending
""")


def resend(
    session: Session,
    asked: Resend,
    *,
    actor_id: UUID,
    key: RequestKey | None,
    keyring: Keyring,
    person_secret: bytes,
) -> Done:
    """Have the link sent once more, in the caller's transaction; the older links of a card die
    when its address changes.

    Raises `ValidationFailed`, `NothingToSendTo`, `AddressFixed`, `ProvisionUndone`,
    `ProvisionReplaced`, `ResendLimited`.
    """
    now = clock.now(session)

    def make() -> UUID:
        card = session.execute(_CARD, {"provision": asked.provision_id}).one_or_none()
        if card is None:
            raise NotFound
        if card.is_undone:
            raise ProvisionUndone
        if card.is_replaced:
            raise ProvisionReplaced
        _limit(session, card, now)
        target = _target(card, asked, keyring)
        if target.address is not None:
            session.execute(_NEW_LINK, {"provision": card.id})
        _send(session, card, target, keyring=keyring, person_secret=person_secret, now=now)
        _audit(session, card, asked, target, actor_id)
        identity: UUID = card.id
        return identity

    return once(session, key, make, status=202, resource_kind="provision")


def _limit(session: Session, card: Row[Any], now: datetime) -> None:
    values = {"client": card.client_id, "provision": card.id, "now": now}
    if session.execute(_SENT_LATELY, values).scalar_one() >= RESENDS_PER_DAY_MAX:
        raise ResendLimited(retry_after_seconds=DAY_SECONDS)


def _target(card: Row[Any], asked: Resend, keyring: Keyring) -> _Target:
    """Where it goes; an address that the card has already is no change."""
    has_way = card.channel in DELIVERED_BY
    present = address_of(card, keyring) if has_way else None
    if not asked.names_address:
        if present is None:
            raise NothingToSendTo
        return _Target(Channel(card.channel))
    channel, address = _address(asked)
    if present is not None and channel == card.channel and present.reveal() == address:
        return _Target(channel)
    if card.revealed_at is not None:
        raise AddressFixed
    if not (asked.reason or "").strip():
        raise _invalid("reason", CellProblem("required", "Say why the address changes."))
    return _Target(channel, address)


def _address(asked: Resend) -> tuple[Channel, str]:
    """The one that is asked for, as it is compared and kept."""
    if asked.email and asked.phone:
        raise _invalid("phone", CellProblem("one_address", "Give `email` or `phone`, not both."))
    if asked.phone:
        phone = read_phone(asked.phone, must_ring=True)
        if isinstance(phone, CellProblem):
            raise _invalid("phone", phone)
        return Channel.SMS, phone
    email = read_email(asked.email or "")
    if not isinstance(email, Email):
        raise _invalid("email", email)
    return Channel.EMAIL, email.address


def _invalid(name: str, problem: CellProblem) -> ValidationFailed:
    return ValidationFailed(
        errors=(FieldError(problem.code, problem.detail, pointer=f"/{name}", field=name),)
    )


def _send(
    session: Session,
    card: Row[Any],
    target: _Target,
    *,
    keyring: Keyring,
    person_secret: bytes,
    now: datetime,
) -> None:
    """The delivery waits again, as the next sending, and a task of its own sends it."""
    identity = card.delivery_id or new_id()
    sealed = person = None
    if target.address is not None:
        sealed = keyring.seal(
            Purpose.PII, target.address, table=TABLE, row_id=identity, column=COLUMN
        )
        is_phone = target.channel is Channel.SMS
        named = {"phone": target.address} if is_phone else {}
        person = person_key(None if is_phone else target.address, person_secret, **named)
    values = {
        "id": identity,
        "agency": card.agency_id,
        "client": card.client_id,
        "job": card.job_id,
        "position": card.position,
        "channel": target.channel.value,
        "sealed": sealed,
        "key": person,
        "good_until": now + GOOD_FOR,
    }
    sending = session.execute(_SEND_AGAIN, values).scalar_one()
    args = {"delivery_id": str(identity), "sending": sending}
    defer(session, DELIVER, args=args, now=now, tenant_id=card.client_id, flow=card.job_id)


def _audit(
    session: Session, card: Row[Any], asked: Resend, target: _Target, actor_id: UUID
) -> None:
    record(
        session,
        "card.resent",
        object_kind="provision",
        object_id=card.id,
        actor_id=actor_id,
        agency_id=card.agency_id,
        client_id=card.client_id,
        detail={
            "channel": target.channel.value,
            "to_another_address": target.address is not None,
            "reason": asked.reason,
        },
    )
