"""Open a card from the recipient's link: the link finds it, the recipient's e-mail proves it."""

import hmac
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.audit.record import record
from pipelines.errors import Refusal
from pipelines.provisioning.addresses import Email, person_key, read_email
from pipelines.provisioning.reveal import OpenedCard, RevealLimited, reveal
from pipelines.sealing import Keyring

#: Wrong answers for one card in an hour; more are not even compared.
WRONG_ANSWERS_PER_HOUR_MAX = 10

_PROOF = text("""
SELECT p.agency_id, p.client_id, p.person_key,
    p.person_key IS NOT NULL AND (p.delivery_method = 'email' OR i.email IS NOT NULL) AS by_email
FROM provisions p JOIN items i ON i.job_id = p.job_id AND i.position = p.position
WHERE p.id = :provision FOR NO KEY UPDATE OF p
""")
_NEEDS_EMAIL = text("""
SELECT p.person_key IS NOT NULL AND (p.delivery_method = 'email' OR i.email IS NOT NULL)
FROM provisions p JOIN items i ON i.job_id = p.job_id AND i.position = p.position
WHERE p.id = :provision
""")
_WRONG_LATELY = text("""
SELECT count(*) FROM audit_entries
WHERE client_id = :client AND object_id = :provision AND action = 'card.reveal_refused'
  AND at > CAST(:now AS timestamptz) - interval '1 hour'
""")


class NotTheRecipient(Refusal):
    """Who has the link did not name the address that it was sent to: left out or wrong, one answer."""

    code = "not_the_recipient"
    detail = "Send in `email` the address at which the link arrived; the card opens for no other."


def needs_email(session: Session, provision_id: UUID) -> bool:
    """Whether a door must ask for the recipient's address before it opens the card."""
    return bool(session.execute(_NEEDS_EMAIL, {"provision": provision_id}).scalar_one_or_none())


def open_by_link(
    session: Session,
    provision_id: UUID,
    answer: str,
    *,
    person_secret: bytes,
    keyring: Keyring,
    now: datetime,
) -> OpenedCard | None:
    """The opened card, or None for a wrong address: the audit of the try stays either way.

    Works in the client's scope. Raises `RevealLimited` after too many tries or openings.
    """
    row = session.execute(_PROOF, {"provision": provision_id}).one()
    if row.by_email:
        values = {"client": row.client_id, "provision": provision_id, "now": now}
        if session.execute(_WRONG_LATELY, values).scalar_one() >= WRONG_ANSWERS_PER_HOUR_MAX:
            raise RevealLimited(retry_after_seconds=3600)
        if not _is_person(answer, row.person_key, person_secret):
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


def _is_person(answer: str, expected: bytes, person_secret: bytes) -> bool:
    email = read_email(answer)
    if not isinstance(email, Email):
        return False
    return hmac.compare_digest(person_key(email.address, person_secret), expected)
