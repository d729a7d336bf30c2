"""End what the person has or was offered here: the account, its links and mails, invitations."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.access.authenticate import account_of

_USERS = text("""
UPDATE users SET email = 'erased-' || id || '@erased.invalid',
    email_normalised = 'erased-' || id || '@erased.invalid',
    name = '', password_hash = NULL, disabled_at = coalesce(disabled_at, :now)
WHERE email_normalised = :address AND role = 'end_user'
  AND (CAST(:client AS uuid) IS NULL OR client_id = CAST(:client AS uuid))
RETURNING id
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
_MAILS = text("""
UPDATE outgoing_mails SET state = 'gave_up', code = 'erased', ended_at = :now, sealed_letter = NULL
WHERE state = 'waiting' AND (user_id = ANY (:users) OR id = ANY (:mails))
""")


def erase_account(
    session: Session, address: str, *, client_id: UUID | None, pseudonym: bytes, now: datetime
) -> int:
    """Make the end user nobody and end what waits for the address; returns how many users.

    A registration that nobody has confirmed is sealed without a key to find it by: it and its
    mail end by themselves within a day.
    """
    asked: dict[str, Any] = {"client": client_id, "now": now}
    users = list(session.execute(_USERS, asked | {"address": address}).scalars())
    session.execute(_SIGN_INS, {"users": users, "now": now})
    session.execute(_RESETS, {"users": users})
    invited = asked | {"account": account_of(address), "pseudonym": pseudonym}
    mails = list(session.execute(_INVITATIONS, invited).scalars())
    session.execute(_MAILS, {"users": users, "mails": mails, "now": now})
    return len(users)
