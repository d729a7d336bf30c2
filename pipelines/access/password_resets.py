"""Choose a new password by a mailed link: asked for by anybody, used once by whose mail it is."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import insert, select, text, update
from sqlalchemy.orm import Session

from models import clock
from models.base import new_id
from models.database import Sessions, scoped_transaction
from models.mails import PasswordReset
from models.people import User
from models.scope import SYSTEM
from pipelines.access.authenticate import let_try_again
from pipelines.access.links import draw_token, token_hash
from pipelines.access.passwords import hash_chosen
from pipelines.access.sign_ins import end_sign_ins
from pipelines.access.users import credentials_of, prove_address
from pipelines.audit.record import record
from pipelines.errors import Refusal
from pipelines.mail.notices import tell_of_new_password
from pipelines.mail.post import Letter, post
from pipelines.mail.templates import Template
from pipelines.sealing import Keyring

LINK_LIVES = timedelta(hours=1)
#: A link that an operator hands over by other means than mail.
HANDED_LINK_LIVES = timedelta(days=1)

# The person is locked first, so that of two links made at once the later ends the earlier.
_LOCK = text("SELECT 1 FROM users WHERE id = :user FOR NO KEY UPDATE")
_END = text("""
UPDATE password_resets SET ended_at = :now WHERE user_id = :user AND ended_at IS NULL
""")
_USE = text("""
UPDATE password_resets SET ended_at = :now
WHERE token_hash = :hash AND ended_at IS NULL AND expires_at > :now
RETURNING user_id
""")


class InvalidResetToken(Refusal):
    """The link is unknown, used, followed by a newer one, or too old: one answer for all."""

    code = "invalid_reset_token"
    detail = "This link is not good any more. Ask for a new one; only the newest works, once."


@dataclass(frozen=True, slots=True)
class _Owner:
    user_id: UUID
    email: str
    name: str
    agency_id: UUID | None
    client_id: UUID | None


def ask_for_reset(sessions: Sessions, email: str, *, keyring: Keyring) -> None:
    """Mail a link to the owner of the address, if there is one.

    The same is written for an address that nobody has, a mail to nobody among it, so that neither
    the answer nor its time tells (EC-029).
    """
    token = draw_token()
    with scoped_transaction(sessions, SYSTEM) as session:
        now = clock.now(session)
        kept = credentials_of(session, email)
        user_id = kept.user_id if kept is not None and not kept.is_disabled else None
        _add(session, user_id, token, now=now, lives=LINK_LIVES)
        letter = Letter(Template.PASSWORD_RESET, user_id=user_id, values={"token": token})
        post(session, letter, keyring=keyring, now=now, good_for=LINK_LIVES)


def hand_reset(session: Session, user_id: UUID, *, now: datetime) -> str:
    """The token of a link that the caller hands over, in the SYSTEM scope; it lives a day."""
    token = draw_token()
    _add(session, user_id, token, now=now, lives=HANDED_LINK_LIVES)
    return token


def is_reset(session: Session, token: str, *, now: datetime) -> bool:
    """Whether the link would work now, in the SYSTEM scope; looking does not use it."""
    return _owner(session, token, now=now) is not None


def reset_password(sessions: Sessions, token: str, chosen: str) -> None:
    """Change the password of whose link it is, who is signed out everywhere.

    What else guards the account, such as an authenticator, stays. Raises `InvalidResetToken`, and
    `ValidationFailed` for a password that will not do, which leaves the link good.
    """
    with scoped_transaction(sessions, SYSTEM) as session:
        owner = _owner(session, token, now=clock.now(session))
    if owner is None:
        raise InvalidResetToken
    fresh = hash_chosen(chosen, words=(owner.email, owner.name), pointer="/new_password")
    with scoped_transaction(sessions, SYSTEM) as session:
        now = clock.now(session)
        used = session.execute(_USE, {"hash": token_hash(token), "now": now})
        if used.scalar_one_or_none() != owner.user_id:
            raise InvalidResetToken
        session.execute(update(User).where(User.id == owner.user_id).values(password_hash=fresh))
        prove_address(session, owner.user_id)
        end_sign_ins(session, owner.user_id, now=now)
        let_try_again(session, owner.email)
        tell_of_new_password(session, owner.user_id, now=now)
        record(
            session,
            "user.password_reset",
            object_kind="user",
            object_id=owner.user_id,
            actor_id=owner.user_id,
            agency_id=owner.agency_id,
            client_id=owner.client_id,
        )


def end_resets(session: Session, user_id: UUID, *, now: datetime) -> None:
    """End the links of a person whose password was changed another way, in the SYSTEM scope."""
    session.execute(_END, {"user": user_id, "now": now})


def _add(
    session: Session, user_id: UUID | None, token: str, *, now: datetime, lives: timedelta
) -> None:
    session.execute(_LOCK, {"user": user_id})
    session.execute(_END, {"user": user_id, "now": now})
    session.execute(
        insert(PasswordReset).values(
            id=new_id(), user_id=user_id, token_hash=token_hash(token), expires_at=now + lives
        )
    )


def _owner(session: Session, token: str, *, now: datetime) -> _Owner | None:
    row = session.execute(
        select(User.id, User.email, User.name, User.agency_id, User.client_id)
        .join(PasswordReset, PasswordReset.user_id == User.id)
        .where(
            PasswordReset.token_hash == token_hash(token),
            PasswordReset.ended_at.is_(None),
            PasswordReset.expires_at > now,
            User.disabled_at.is_(None),
        )
    ).one_or_none()
    return (
        None if row is None else _Owner(row.id, row.email, row.name, row.agency_id, row.client_id)
    )
