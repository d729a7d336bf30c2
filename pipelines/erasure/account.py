"""End what the person has or was offered here: account, links and mails, what clients say of them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.access.authenticate import account_of
from pipelines.access.registration import forget_registrations
from pipelines.erasure.traces import Traces
from pipelines.mail.post import opened
from pipelines.mail.templates import Template
from pipelines.sealing import DecryptionFailed, Keyring

# What clients say of the person, but for a client's own staff: nobody's address, name or id any more,
# and in no pool.
_KNOWN = text("""
WITH known AS (
    UPDATE client_users c SET email = NULL, email_normalised = NULL, name = '', external_id = NULL,
        disabled_at = coalesce(c.disabled_at, :now)
    FROM users u
    WHERE (c.email_normalised = ANY (:addresses) OR c.user_id = CAST(:user AS uuid))
      AND u.id = c.user_id
      AND (u.role = 'end_user' OR u.client_id IS DISTINCT FROM c.client_id)
      AND (CAST(:client AS uuid) IS NULL OR c.client_id = CAST(:client AS uuid))
    RETURNING c.client_id, c.user_id
), gone AS (
    DELETE FROM user_pool_members m USING known k
    WHERE m.client_id = k.client_id AND m.user_id = k.user_id
)
SELECT DISTINCT user_id FROM known
""")
# At one client's request also who has no account and whom no other client knows.
_USERS = text("""
UPDATE users SET email = 'erased-' || id || '@erased.invalid',
    email_normalised = 'erased-' || id || '@erased.invalid',
    name = '', password_hash = NULL, disabled_at = coalesce(disabled_at, :now)
WHERE (email_normalised = ANY (:addresses) OR id = CAST(:user AS uuid)) AND role = 'end_user'
  AND (CAST(:client AS uuid) IS NULL OR client_id = CAST(:client AS uuid)
    OR (id = ANY (:known) AND client_id IS NULL AND password_hash IS NULL AND NOT EXISTS (
      SELECT FROM client_users c
      WHERE c.user_id = users.id AND coalesce(c.email, c.external_id) IS NOT NULL)))
RETURNING id
""")
# Whoever comes again from a partner's site is somebody new; what was claimed stays, and is nobody's.
_PARTNER_USERS = text("""
DELETE FROM partner_users WHERE user_id = ANY (:known)
  AND (CAST(:client AS uuid) IS NULL OR client_id = CAST(:client AS uuid))
""")
# A statement of its own: a visit that was just being opened has been waited for, and is seen.
_VISITS = text("""
UPDATE widget_sessions SET revoked_at = :now WHERE user_id = ANY (:known) AND revoked_at IS NULL
  AND (CAST(:client AS uuid) IS NULL OR client_id = CAST(:client AS uuid))
""")
_SIGN_INS = text("""
UPDATE sign_ins SET revoked_at = coalesce(revoked_at, :now), address = NULL, user_agent = NULL
WHERE user_id = ANY (:users)
""")
_RESETS = text("DELETE FROM password_resets WHERE user_id = ANY (:users)")
# What was invited is found by the digest of the address, which goes with it: it could be guessed.
_INVITATIONS = text("""
UPDATE invitations SET ended_at = coalesce(ended_at, :now), sealed_guest = NULL,
    account = :pseudonym
WHERE account = :account
  AND (CAST(:client AS uuid) IS NULL OR client_id = CAST(:client AS uuid))
RETURNING mail_id
""")
_ADDRESSED = text("""
SELECT id, sealed_letter FROM outgoing_mails
WHERE state = 'waiting' AND user_id IS NULL AND sealed_letter IS NOT NULL
""")
# What clients wrote to the person, at the address that they have of them.
_OF_CLIENTS = text("""
SELECT id, sealed_letter FROM outgoing_mails
WHERE state = 'waiting' AND template = :template AND user_id = ANY (:known)
""")
_MAILS = text("""
UPDATE outgoing_mails SET state = 'gave_up', code = 'erased', ended_at = :now, sealed_letter = NULL
WHERE state = 'waiting' AND (user_id = ANY (:users) OR id = ANY (:mails))
""")


def erase_account(
    session: Session,
    traces: Traces | None,
    *,
    user_id: UUID | None,
    client_id: UUID | None,
    pseudonym: bytes,
    keyring: Keyring,
    now: datetime,
) -> int:
    """Make the end user nobody and end what waits for the address; returns how many people.

    Who has no address, and so no traces, is found by `user_id`.

    Who has yet to confirm a registration is no client's: one client's request leaves it alone.
    Raises `DecryptionFailed` before a value whose key this process does not have.
    """
    mails: list[UUID] = []
    if client_id is None and traces is not None:
        # First, so that who confirms just now is waited for, and is a user below.
        forget_registrations(session, traces.address, keyring=keyring)
        mails += _mails_to(session, traces.address, keyring)
    asked: dict[str, Any] = {"client": client_id, "now": now, "user": user_id}
    asked["addresses"] = traces.compared if traces else []
    known = list(session.execute(_KNOWN, asked).scalars())
    # Afterwards, so that whoever writes to them just now is waited for.
    mails += _mails_of_clients(session, known, client_id, keyring)
    users = list(session.execute(_USERS, asked | {"known": known}).scalars())
    _end_visits(session, known, client_id, now)
    session.execute(_SIGN_INS, {"users": users, "now": now})
    session.execute(_RESETS, {"users": users})
    account = account_of(traces.address) if traces else None
    invited = asked | {"account": account, "pseudonym": pseudonym}
    mails += list(session.execute(_INVITATIONS, invited).scalars())
    session.execute(_MAILS, {"users": users, "mails": mails, "now": now})
    return len({*users, *known})


def _end_visits(session: Session, known: list[UUID], client_id: UUID | None, now: datetime) -> None:
    """Partners' ids of the people are forgotten, and their visits are over."""
    asked = {"known": known, "client": client_id}
    session.execute(_PARTNER_USERS, asked)
    session.execute(_VISITS, asked | {"now": now})


def _mails_of_clients(
    session: Session, known: list[UUID], client_id: UUID | None, keyring: Keyring
) -> list[UUID]:
    """What waits to be sent to them by this client, or by every one."""
    values = {"template": Template.COUPON_REDEEMED.value, "known": known}
    return [
        mail.id
        for mail in session.execute(_OF_CLIENTS, values)
        if client_id is None or _is_of(mail, client_id, keyring)
    ]


def _is_of(mail: Row[UUID, bytes], client_id: UUID, keyring: Keyring) -> bool:
    try:
        _address, values = opened(keyring, mail.id, mail.sealed_letter)
    except DecryptionFailed:
        if keyring.missing(mail.sealed_letter[:1]):
            raise
        return False
    return values["client_id"].reveal() == str(client_id)


def _mails_to(session: Session, address: str, keyring: Keyring) -> list[UUID]:
    """What waits to be sent to the address itself; it is sealed, so that each is opened.

    One that is damaged is counted by the keyring and passed over: it is sent to nobody.
    """
    sought = account_of(address)
    found = []
    for mail in session.execute(_ADDRESSED):
        try:
            recipient, _values = opened(keyring, mail.id, mail.sealed_letter)
        except DecryptionFailed:
            if keyring.missing(mail.sealed_letter[:1]):
                raise
            continue
        if recipient is not None and account_of(recipient) == sought:
            found.append(mail.id)
    return found
