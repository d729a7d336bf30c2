"""Open a card from the recipient's link: the link finds it, what the recipient knows proves it."""

import hmac
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.audit.record import record
from pipelines.errors import Refusal
from pipelines.jobs.addresses import Email, person_key, read_email
from pipelines.provisioning.deliveries import ADDRESS, ADDRESS_FROM, address_of
from pipelines.provisioning.redemption_index import redemption_index
from pipelines.provisioning.reveal import OpenedCard, RevealLimited, reveal
from pipelines.sealing import Keyring

#: Wrong answers for one card in an hour; more are not even compared.
WRONG_ANSWERS_PER_HOUR_MAX = 10
#: Of a phone number, from its end.
DIGITS_ASKED = 4


class Proof(StrEnum):
    """What a link's holder must know beside it: a forwarded link alone opens nothing (EC-079)."""

    EMAIL = "email"
    PHONE = "phone_last4"
    CODE = "redemption_code"
    #: The card was asked for without a person: whoever has the link has the card.
    NONE = "none"


# The way by which the link went out comes first, then whatever is known of the recipient.
_KIND = """
CASE WHEN d.channel = 'sms' THEN 'phone_last4'
     WHEN d.channel = 'email' OR (p.person_key IS NOT NULL
          AND (p.delivery_method = 'email' OR i.email IS NOT NULL)) THEN 'email'
     WHEN EXISTS (SELECT FROM redemption_codes r WHERE r.job_id = p.job_id) THEN 'redemption_code'
     WHEN p.delivery_method = 'sms' OR i.phone IS NOT NULL THEN 'phone_last4'
     ELSE 'none' END"""
_FROM = f"""
FROM provisions p JOIN items i ON i.job_id = p.job_id AND i.position = p.position
LEFT JOIN deliveries d ON d.job_id = p.job_id AND d.position = p.position
{ADDRESS_FROM}
WHERE p.id = :provision"""
_PROOF = text(f"""
SELECT p.agency_id, p.client_id, p.campaign_id, p.job_id, {_KIND} AS kind, {ADDRESS},
    coalesce(d.channel, 'sms') AS channel,
    CASE WHEN d.channel = 'email' THEN coalesce(d.address_key, p.person_key) ELSE p.person_key END
        AS person_key
{_FROM} FOR NO KEY UPDATE OF p
""")
_NEEDS = text(f"SELECT {_KIND} {_FROM}")
_IS_CODE = text("""
SELECT EXISTS (SELECT FROM redemption_codes
               WHERE campaign_id = :campaign AND blind_index = :index AND job_id = :job)
""")
_WRONG_LATELY = text("""
SELECT count(*) FROM audit_entries
WHERE client_id = :client AND object_id = :provision AND action = 'card.reveal_refused'
  AND at > CAST(:now AS timestamptz) - interval '1 hour'
""")


class NotTheRecipient(Refusal):
    """Who has the link does not know what its recipient knows: left out or wrong, one answer.

    `needs` names what is asked for.
    """

    code = "not_the_recipient"

    def __init__(self, needs: Proof) -> None:
        super().__init__(_ASKS[needs], extra={"needs": needs.value})


_ASKS = {
    Proof.EMAIL: "Send in `email` the address at which the link arrived; the card opens for no other.",
    Proof.PHONE: "Send in `phone_last4` the last four digits of the recipient's phone number.",
    Proof.CODE: "Send in `redemption_code` the code that the card was asked for with.",
    Proof.NONE: "The card opens for no other.",
}


def proof_needed(session: Session, provision_id: UUID) -> Proof:
    """What a door must ask for before it opens the card."""
    return Proof(session.execute(_NEEDS, {"provision": provision_id}).scalar_one())


def open_by_link(
    session: Session,
    provision_id: UUID,
    answer: str,
    *,
    person_secret: bytes,
    keyring: Keyring,
    now: datetime,
) -> OpenedCard | None:
    """The opened card, or None for a wrong answer: the audit of the try stays either way.

    Works in the client's scope. Raises `RevealLimited` after too many tries or openings.
    """
    row = session.execute(_PROOF, {"provision": provision_id}).one()
    if Proof(row.kind) is not Proof.NONE:
        values = {"client": row.client_id, "provision": provision_id, "now": now}
        if session.execute(_WRONG_LATELY, values).scalar_one() >= WRONG_ANSWERS_PER_HOUR_MAX:
            raise RevealLimited(retry_after_seconds=3600)
        if not _is_right(session, answer, row, person_secret, keyring):
            record(
                session,
                "card.reveal_refused",
                object_kind="provision",
                object_id=provision_id,
                actor_id=None,
                agency_id=row.agency_id,
                client_id=row.client_id,
            )
            return None
    return reveal(session, provision_id, actor_id=None, keyring=keyring, now=now)


def _is_right(
    session: Session, answer: str, row: Row[Any], person_secret: bytes, keyring: Keyring
) -> bool:
    match Proof(row.kind):
        case Proof.EMAIL:
            return _is_person(answer, row.person_key, person_secret)
        case Proof.CODE:
            index = redemption_index(answer, row.campaign_id, keyring)
            values = {"campaign": row.campaign_id, "index": index, "job": row.job_id}
            return bool(session.execute(_IS_CODE, values).scalar_one())
        case _:
            phone = address_of(row, keyring)
            digits = "".join(letter for letter in answer if letter.isdecimal())
            return phone is not None and hmac.compare_digest(
                digits.encode(), phone.reveal()[-DIGITS_ASKED:].encode()
            )


def _is_person(answer: str, expected: bytes | None, person_secret: bytes) -> bool:
    email = read_email(answer)
    if expected is None or not isinstance(email, Email):  # whom it was sent to was erased
        return False
    return hmac.compare_digest(person_key(email.address, person_secret), expected)
