"""Prove who somebody is, by password and code: the verbs of every door (SEC-02, SEC-03, SEC-04).

Every try counts before it is known to be wrong; only a whole proof clears the count.
"""

import hashlib
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models import clock
from models.database import Sessions, scoped_transaction
from models.scope import SYSTEM
from pipelines.access.lockout import FAILURES_MAX, Standing, try_again
from pipelines.access.passwords import hash_password, is_outdated, is_password
from pipelines.access.second_factor import check_code
from pipelines.access.users import Credentials, credentials_by_id, credentials_of, normalised
from pipelines.audit.record import record
from pipelines.errors import Kind, Refusal
from pipelines.mail.notices import tell_of_rest
from pipelines.sealing import Keyring
from pipelines.telemetry import get_logger

log = get_logger(__name__)

#: An account that nobody has tried for so long begins anew.
REMEMBERED_DAYS = 30
#: Forgotten in one transaction: anybody may fill the table with addresses that nobody has.
FORGOTTEN_AT_ONCE = 5_000

# The row is locked from here on: of many tries at once each sees those before it.
_STANDING = text("""
INSERT INTO sign_in_failures (account) VALUES (:account)
ON CONFLICT (account) DO UPDATE SET account = excluded.account
RETURNING failures, rests_until
""")
_STAND = text("""
UPDATE sign_in_failures SET failures = :failures, rests_until = :rests_until, tried_at = :now
WHERE account = :account
""")
_CLEAR = text("DELETE FROM sign_in_failures WHERE account = :account")
_FORGET = text("""
DELETE FROM sign_in_failures WHERE account = ANY (ARRAY(
    SELECT account FROM sign_in_failures
    WHERE tried_at < CAST(:now AS timestamptz) - make_interval(days => :days)
    ORDER BY tried_at LIMIT :limit FOR UPDATE SKIP LOCKED))
""")
_HOLD = text("SELECT FROM users WHERE id = :user FOR SHARE")
_UPGRADE = text("""
UPDATE users SET password_hash = :fresh WHERE id = :user AND password_hash = :outdated
""")


class InvalidCredentials(Refusal):
    """Wrong address, wrong password, disabled: one answer for all."""

    code = "invalid_credentials"
    kind = Kind.UNAUTHENTICATED
    detail = "The e-mail and password do not match."


class AccountRests(Refusal):
    """Too many wrong passwords in a row; known and unknown addresses alike."""

    code = "login_locked"
    kind = Kind.THROTTLED
    detail = (
        "Too many wrong passwords for this address. Wait, or ask an administrator above you. "
        "Who is signed in already stays signed in."
    )


class SecondFactorRequired(Refusal):
    """The password is right, and the account has a second factor."""

    code = "totp_required"
    kind = Kind.UNAUTHENTICATED
    detail = "This account has a second factor. Send its code, or a recovery code, as `totp`."


class InvalidTotp(Refusal):
    """The password is right, and the code is not, or was used before."""

    code = "invalid_totp"
    kind = Kind.UNAUTHENTICATED
    detail = "The code is not right, or was used already. Wait for the next one."


def authenticate(
    sessions: Sessions, keyring: Keyring, email: str, password: str, *, code: str | None
) -> Credentials:
    """Whose the credentials are: a password, and a code where there is a second factor.

    Whoever opens a sign-in for it asks `still_proven` there.

    Raises `InvalidCredentials`, `SecondFactorRequired`, `InvalidTotp`, `AccountRests`.
    """
    kept, standing = _checked(sessions, email, password)
    if kept.has_second_factor and code is None:
        raise SecondFactorRequired
    with scoped_transaction(sessions, SYSTEM) as session:
        is_proven = not kept.has_second_factor or check_code(
            session, kept.user_id, code or "", keyring=keyring, now=clock.now(session)
        )
        if is_proven:
            let_try_again(session, email)
    if not is_proven:
        _tell_of_rest(sessions, kept, standing)
        raise InvalidTotp
    return kept


def check_password(sessions: Sessions, email: str, password: str) -> Credentials:
    """Whose the pair is. Raises `InvalidCredentials`, `AccountRests`.

    The hash is computed with no connection in hand, and for unknown people too. An outdated hash
    is replaced by one of what was just found right. The try stays counted: see `let_try_again`.
    """
    return _checked(sessions, email, password)[0]


def _checked(sessions: Sessions, email: str, password: str) -> tuple[Credentials, Standing]:
    with scoped_transaction(sessions, SYSTEM) as session:
        standing = _count_try(session, email, now=clock.now(session))
        kept = credentials_of(session, email) if isinstance(standing, Standing) else None
    if not isinstance(standing, Standing):
        raise AccountRests(retry_after_seconds=standing)
    is_right = is_password(password, kept.password_hash if kept else None)
    if kept is None or kept.is_disabled or not is_right:
        _tell_of_rest(sessions, kept, standing)
        raise InvalidCredentials
    if is_outdated(kept.password_hash, password):
        values = {"user": kept.user_id, "outdated": kept.password_hash}
        fresh = hash_password(password)
        with scoped_transaction(sessions, SYSTEM) as session:
            session.execute(_UPGRADE, values | {"fresh": fresh})
        kept = replace(kept, password_hash=fresh)
    return kept, standing


def prove_by_password(sessions: Sessions, user_id: UUID, password: str) -> bool:
    """Whether it is the password of somebody who is signed in.

    Counted by itself: who found a screen unlocked may not guess on, and strangers at the door keep
    nobody from their open session (SEC-03). Raises `AccountRests`.
    """
    with scoped_transaction(sessions, SYSTEM) as session:
        standing = _count(session, _proof_of(user_id), now=clock.now(session))
        kept = credentials_by_id(session, user_id)
    if not isinstance(standing, Standing):
        raise AccountRests(retry_after_seconds=standing)
    if kept.is_disabled or not is_password(password, kept.password_hash):
        _tell_of_rest(sessions, kept, standing)
        return False
    with scoped_transaction(sessions, SYSTEM) as session:
        session.execute(_CLEAR, {"account": _proof_of(user_id)})
    return True


def prove_by_code(
    sessions: Sessions, keyring: Keyring, user_id: UUID, code: str, *, at_door: bool = False
) -> bool:
    """Whether it is a fresh code of this person, which is spent.

    Counted with the passwords when it is the second step `at_door`, else by itself, as in
    `prove_by_password`. Raises `AccountRests`.
    """
    with scoped_transaction(sessions, SYSTEM) as session:
        now = clock.now(session)
        kept = credentials_by_id(session, user_id)
        account = account_of(kept.email) if at_door else _proof_of(user_id)
        standing = _count(session, account, now=now)
        is_proven = isinstance(standing, Standing) and check_code(
            session, user_id, code, keyring=keyring, now=now
        )
        if is_proven:
            session.execute(_CLEAR, {"account": account})
    if not isinstance(standing, Standing):
        raise AccountRests(retry_after_seconds=standing)
    if not is_proven:
        _tell_of_rest(sessions, kept, standing)
    return is_proven


def still_proven(session: Session, kept: Credentials) -> bool:
    """Whether what was checked still holds: in the transaction that opens a sign-in.

    A password that was changed or reset, or a second factor set up, while the hash was computed
    lets nobody in; the row is held so that neither happens before the sign-in is there to be ended.
    """
    session.execute(_HOLD, {"user": kept.user_id})
    return credentials_by_id(session, kept.user_id) == kept


def let_try_again(session: Session, email: str) -> None:
    """Forget the wrong passwords of an address."""
    session.execute(_CLEAR, {"account": account_of(email)})


def forget_failures(session: Session, now: datetime) -> int:
    """Forget accounts that nobody has tried for a month, a bounded piece; returns how many."""
    result = session.execute(
        _FORGET, {"now": now, "days": REMEMBERED_DAYS, "limit": FORGOTTEN_AT_ONCE}
    )
    return result.rowcount  # type: ignore[attr-defined,no-any-return]


def _count_try(session: Session, email: str, *, now: datetime) -> Standing | int:
    """How the account stands with this try; while it rests, seconds until the next may be."""
    return _count(session, account_of(email), now=now)


def _proof_of(user_id: UUID) -> bytes:
    """Under what a signed-in person's proofs are counted."""
    return hashlib.sha256(b"proof:" + user_id.bytes).digest()


def _count(session: Session, account: bytes, *, now: datetime) -> Standing | int:
    row = session.execute(_STANDING, {"account": account}).one()
    standing = try_again(Standing(row.failures, row.rests_until), now=now)
    if standing is None:
        return int((row.rests_until - now).total_seconds()) + 1
    values = {"failures": standing.failures, "rests_until": standing.rests_until, "now": now}
    session.execute(_STAND, values | {"account": account})
    return standing


def _tell_of_rest(sessions: Sessions, kept: Credentials | None, standing: Standing) -> None:
    """A wrong password is noted for whose it is, and so is an account that begins to rest.

    What nobody has is noted for the platform: known and unknown addresses cost the same.
    """
    is_resting = standing.failures >= FAILURES_MAX
    if is_resting:
        log.warning("sign_in.locked", failures=standing.failures, is_known=kept is not None)
    with scoped_transaction(sessions, SYSTEM) as session:
        record(
            session,
            "sign_in.locked" if is_resting else "sign_in.failed",
            object_kind="user",
            object_id=kept.user_id if kept else None,
            actor_id=None,
            agency_id=kept.agency_id if kept else None,
            client_id=kept.client_id if kept else None,
            detail={"failures": standing.failures},
        )
        if is_resting:
            tell_of_rest(session, kept.user_id if kept else None, now=clock.now(session))


def account_of(email: str) -> bytes:
    """Addresses that nobody has are counted too, and are not kept as they were typed."""
    return hashlib.sha256(normalised(email).encode("utf-8", "replace")).digest()
