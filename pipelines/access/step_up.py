"""Prove oneself again on an open sign-in, and take a second factor into use there (SEC-04)."""

from uuid import UUID

from sqlalchemy.orm import Session

from models import clock
from models.database import Sessions, scoped_transaction
from models.scope import SYSTEM
from pipelines.access.authenticate import prove_by_code, prove_by_password
from pipelines.access.change_password import WrongPassword
from pipelines.access.principals import Principal
from pipelines.access.second_factor import (
    NothingToVerify,
    WrongCode,
    confirm_enrolment,
    is_being_set_up,
)
from pipelines.access.sign_ins import end_sign_ins, prove
from pipelines.errors import FieldError, ValidationFailed
from pipelines.sealing import Keyring, Secret


def prove_again(
    sessions: Sessions,
    keyring: Keyring,
    caller: Principal,
    *,
    totp: str | None,
    password: str | None,
) -> None:
    """Check what the caller's account is proven by, and note it on this sign-in.

    Raises `WrongCode`, `WrongPassword`, `AccountRests`, `ValidationFailed` without the right means.
    """
    if caller.has_second_factor:
        if not totp:
            raise _missing("totp", "Send a code of your app, or a recovery code.")
        if not prove_by_code(sessions, keyring, caller.actor_id, totp):
            raise WrongCode
    else:
        if not password:
            raise _missing("password", "Send your password.")
        if not prove_by_password(sessions, caller.actor_id, password):
            raise WrongPassword
    with scoped_transaction(sessions, SYSTEM) as session:
        prove(session, sign_in_of(caller), now=clock.now(session))


def verify(sessions: Sessions, keyring: Keyring, caller: Principal, code: str) -> list[Secret]:
    """Confirm the second factor that is being set up, else prove the caller with the one in use.

    Setting one up signs out everywhere else; its recovery codes are returned this once.
    Raises `NothingToVerify`, `WrongCode`, `AccountRests`.
    """
    with scoped_transaction(sessions, SYSTEM) as session:
        codes = _confirm(session, keyring, caller, code)
    if codes is not None:
        return codes
    if not caller.has_second_factor:
        raise NothingToVerify
    prove_again(sessions, keyring, caller, totp=code, password=None)
    return []


def sign_in_of(caller: Principal) -> UUID:
    """The caller's sign-in; keys have no account of their own, and no route that asks for it."""
    assert caller.sign_in_id is not None
    return caller.sign_in_id


def _confirm(
    session: Session, keyring: Keyring, caller: Principal, code: str
) -> list[Secret] | None:
    now = clock.now(session)
    if not is_being_set_up(session, caller.actor_id, now=now):
        return None
    codes = confirm_enrolment(session, caller.actor_id, code, keyring=keyring, now=now)
    prove(session, sign_in_of(caller), now=now)
    end_sign_ins(session, caller.actor_id, now=now, keep=caller.sign_in_id)
    return codes


def _missing(name: str, detail: str) -> ValidationFailed:
    return ValidationFailed(errors=(FieldError("required", detail, pointer=f"/{name}"),))
