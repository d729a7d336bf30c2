"""Register: an end user is made once the address is proven by a mailed link (S1-025, S3-105).

What clients gave to the address before is the user's from then on.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Row, Select, delete, insert, select
from sqlalchemy.orm import Session

from models import clock
from models.base import new_id
from models.database import Sessions, scoped_transaction
from models.mails import Registration
from models.people import Role
from models.scope import SYSTEM
from pipelines.access.authenticate import account_of, let_try_again
from pipelines.access.change_password import WrongPassword
from pipelines.access.links import draw_token, token_hash
from pipelines.access.passwords import hash_chosen, is_password
from pipelines.access.users import EmailTaken, NewUser, add_user, credentials_of, prove_address
from pipelines.access.welcome import welcome
from pipelines.errors import Refusal
from pipelines.mail.post import Letter, post
from pipelines.mail.templates import Template
from pipelines.sealing import DecryptionFailed, Keyring, Purpose

LINK_LIVES = timedelta(days=1)
_TABLE, _COLUMN = "registrations", "sealed_person"


class InvalidRegistrationToken(Refusal):
    """The link is unknown, used, too old, or the address has an account meanwhile."""

    code = "invalid_registration_token"
    detail = "This link is not good any more. Register again, or sign in if you have an account."


@dataclass(frozen=True, slots=True)
class Registrant:
    """Who wants an account."""

    email: str = field(repr=False)
    password: str = field(repr=False)
    name: str = field(default="", repr=False)


def register(sessions: Sessions, person: Registrant, *, keyring: Keyring) -> None:
    """Mail a link to the address or, if it has an account, say so there and nowhere else.

    The same is written either way. Raises `ValidationFailed` for a password that will not do.
    """
    fresh = hash_chosen(person.password, words=(person.email, person.name))
    token, identity = draw_token(), new_id()
    content = {"email": person.email, "name": person.name, "password_hash": fresh}
    sealed = keyring.seal(
        Purpose.PII, json.dumps(content), table=_TABLE, row_id=identity, column=_COLUMN
    )
    with scoped_transaction(sessions, SYSTEM) as session:
        now = clock.now(session)
        kept = credentials_of(session, person.email)
        session.execute(
            insert(Registration).values(
                id=identity,
                sealed_person=sealed,
                token_hash=token_hash(token),
                expires_at=now + LINK_LIVES,
            )
        )
        letter = Letter(Template.REGISTRATION, address=person.email, values={"token": token})
        if kept is not None and not kept.may_be_adopted:
            letter = Letter(Template.ACCOUNT_EXISTS, user_id=kept.user_id)
        post(session, letter, keyring=keyring, now=now, good_for=LINK_LIVES)


def register_at_once(sessions: Sessions, person: Registrant, *, keyring: Keyring) -> UUID:
    """Make the user, whose word counts as proof: for a demo, where no mail leaves the house.

    Raises `EmailTaken`, and `ValidationFailed` for a password that will not do.
    """
    fresh = hash_chosen(person.password, words=(person.email, person.name))
    with scoped_transaction(sessions, SYSTEM) as session:
        return _made(session, person.email, person.name, fresh, keyring=keyring)


def is_registration(session: Session, token: str, *, now: datetime) -> bool:
    """Whether the link would work now, in the SYSTEM scope; looking does not use it."""
    return session.execute(_waiting(token, now=now)).one_or_none() is not None


def confirm_registration(
    sessions: Sessions, token: str, password: str, *, keyring: Keyring
) -> UUID:
    """Make the user whose link it is, and who chose this password.

    Both prove something: the link that the address is theirs, the password that it was they who
    registered. A stranger's account cannot be begun by the owner of the address, who clicks. A
    wrong password leaves the link good. Raises `InvalidRegistrationToken`, `WrongPassword`.
    """
    with scoped_transaction(sessions, SYSTEM) as session:
        row = session.execute(_waiting(token, now=clock.now(session))).one_or_none()
    if row is None:
        raise InvalidRegistrationToken
    content = _opened(keyring, row)
    if not is_password(password, content["password_hash"]):
        raise WrongPassword("Type the password that was chosen for this account.")
    with scoped_transaction(sessions, SYSTEM) as session:
        used = delete(Registration).where(Registration.id == row.id).returning(Registration.id)
        if session.execute(used).one_or_none() is None:
            raise InvalidRegistrationToken
        try:
            fresh = content["password_hash"]
            return _made(session, content["email"], content["name"], fresh, keyring=keyring)
        except EmailTaken:
            raise InvalidRegistrationToken from None


def forget_registrations(session: Session, email: str, *, keyring: Keyring) -> None:
    """Drop what waits to be confirmed for this address, in the SYSTEM scope.

    All is sealed, so that each is opened: they live for a day, and registering is limited. One
    that is damaged is counted by the keyring and passed over: nobody can confirm it. Raises
    `DecryptionFailed` before one whose key this process does not have.
    """
    sought = account_of(email)
    named = []
    for row in session.execute(select(Registration.id, Registration.sealed_person)):
        try:
            content = _opened(keyring, row)
        except DecryptionFailed:
            if keyring.missing(row.sealed_person[:1]):
                raise
            continue
        if account_of(content["email"]) == sought:
            named.append(row.id)
    session.execute(delete(Registration).where(Registration.id.in_(named)))


def _opened(keyring: Keyring, row: Row[UUID, bytes]) -> dict[str, str]:
    secret = keyring.open_sealed(
        Purpose.PII, row.sealed_person, table=_TABLE, row_id=row.id, column=_COLUMN
    )
    content: dict[str, str] = json.loads(secret.reveal())
    return content


def _waiting(token: str, *, now: datetime) -> Select[UUID, bytes]:
    return select(Registration.id, Registration.sealed_person).where(
        Registration.token_hash == token_hash(token), Registration.expires_at > now
    )


def _made(session: Session, email: str, name: str, password_hash: str, *, keyring: Keyring) -> UUID:
    person = NewUser(email, "", Role.END_USER, name)
    user_id = add_user(session, person, password_hash=password_hash, actor_id=None)
    prove_address(session, user_id)
    let_try_again(session, email)  # nobody is kept out by what was tried before
    welcome(session, user_id, keyring=keyring, now=clock.now(session))
    return user_id
