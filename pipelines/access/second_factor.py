"""A person's second factor: set up, checked, each code once, recovered, taken away (SEC-04)."""

import hashlib
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.access.totp import (
    enrolment_uri,
    matching_step,
    new_recovery_codes,
    new_secret,
    recovery_digits,
)
from pipelines.audit.record import record
from pipelines.errors import Kind, Refusal
from pipelines.limits import Limits
from pipelines.sealing import Keyring, Purpose, Secret

TABLE = "authenticators"

_PENDING = text("""
INSERT INTO authenticators (user_id, pending_sealed, pending_until) VALUES (:user, :sealed, :until)
ON CONFLICT (user_id) DO UPDATE
SET pending_sealed = excluded.pending_sealed, pending_until = excluded.pending_until
""")
# Locked: of two who offer one code at once the second sees that it was used.
_FACTOR = text("""
SELECT secret_sealed, last_step, confirmed_at, pending_sealed, pending_until
FROM authenticators WHERE user_id = :user FOR UPDATE
""")
_IS_PENDING = text(
    "SELECT FROM authenticators WHERE user_id = :user AND pending_until > CAST(:now AS timestamptz)"
)
_USED = text("UPDATE authenticators SET last_step = :step WHERE user_id = :user")
_CONFIRM = text("""
UPDATE authenticators SET secret_sealed = :sealed, last_step = :step, confirmed_at = :now,
    pending_sealed = NULL, pending_until = NULL
WHERE user_id = :user
""")
_HAS = text("SELECT FROM authenticators WHERE user_id = :user AND confirmed_at IS NOT NULL")
_REMOVE = text("DELETE FROM authenticators WHERE user_id = :user AND confirmed_at IS NOT NULL")
_FORGET_CODES = text("DELETE FROM recovery_codes WHERE user_id = :user")
_KEEP_CODES = text("""
INSERT INTO recovery_codes (user_id, code_hash) SELECT :user, unnest(CAST(:hashes AS bytea[]))
""")
_SPEND_CODE = text("""
UPDATE recovery_codes SET used_at = :now
WHERE user_id = :user AND code_hash = :hash AND used_at IS NULL RETURNING 1
""")
_CODES_LEFT = text("SELECT count(*) FROM recovery_codes WHERE user_id = :user AND used_at IS NULL")


class WrongCode(Refusal):
    """Not a code of this person's, or one that was used before."""

    code = "wrong_code"
    detail = "The code is not right, or was used already. Wait for the next one and send that."


class NothingToVerify(Refusal):
    """No second factor is being set up, or it took too long."""

    code = "nothing_to_verify"
    kind = Kind.CONFLICT
    detail = "No second factor is being set up. Begin with POST /auth/totp/enrol."


class NoSecondFactor(Refusal):
    """There is no second factor to make recovery codes for."""

    code = "no_second_factor"
    kind = Kind.CONFLICT
    detail = "You have no second factor. Set one up with POST /auth/totp/enrol."


def has_second_factor(session: Session, user_id: UUID) -> bool:
    """Whether the person confirmed one, as far as the scope shows them."""
    return session.execute(_HAS, {"user": user_id}).one_or_none() is not None


def begin_enrolment(
    session: Session,
    user_id: UUID,
    email: str,
    *,
    keyring: Keyring,
    limits: Limits,
    now: datetime,
) -> tuple[Secret, Secret]:
    """A new secret and its URI for the app; it counts once a code of it is confirmed.

    One that is in use stays until then.
    """
    secret = new_secret()
    sealed = _seal(keyring, user_id, "pending_sealed", secret)
    until = now + timedelta(seconds=limits.enrolment_seconds)
    session.execute(_PENDING, {"user": user_id, "sealed": sealed, "until": until})
    return Secret(secret), Secret(enrolment_uri(secret, email))


def is_being_set_up(session: Session, user_id: UUID, *, now: datetime) -> bool:
    """Whether a new second factor waits for its first code."""
    return session.execute(_IS_PENDING, {"user": user_id, "now": now}).one_or_none() is not None


def pending_enrolment(
    session: Session, user_id: UUID, email: str, *, keyring: Keyring, now: datetime
) -> tuple[Secret, Secret] | None:
    """The secret that is being set up and its URI; None if none is."""
    row = session.execute(_FACTOR, {"user": user_id}).one_or_none()
    if row is None or row.pending_sealed is None or row.pending_until <= now:
        return None
    secret = _open(keyring, user_id, "pending_sealed", row.pending_sealed)
    return secret, Secret(enrolment_uri(secret.reveal(), email))


def confirm_enrolment(
    session: Session, user_id: UUID, code: str, *, keyring: Keyring, now: datetime
) -> list[Secret]:
    """Take the new secret into use; the recovery codes are shown this once.

    Raises `NothingToVerify`, `WrongCode`.
    """
    row = session.execute(_FACTOR, {"user": user_id}).one_or_none()
    if row is None or row.pending_sealed is None or row.pending_until <= now:
        raise NothingToVerify
    secret = _open(keyring, user_id, "pending_sealed", row.pending_sealed)
    step = matching_step(secret.reveal(), code, now=now, after=0)
    if step is None:
        raise WrongCode
    sealed = _seal(keyring, user_id, "secret_sealed", secret)
    values = {"user": user_id, "sealed": sealed, "step": step, "now": now}
    session.execute(_CONFIRM, values)
    _audit(session, "second_factor.set_up", user_id, replaces=row.confirmed_at is not None)
    return renew_recovery_codes(session, user_id)


def renew_recovery_codes(session: Session, user_id: UUID) -> list[Secret]:
    """New recovery codes; those from before are worth nothing. Raises `NoSecondFactor`."""
    if not has_second_factor(session, user_id):
        raise NoSecondFactor
    codes = new_recovery_codes()
    session.execute(_FORGET_CODES, {"user": user_id})
    hashes = [_hash(code) for code in codes]
    session.execute(_KEEP_CODES, {"user": user_id, "hashes": hashes})
    _audit(session, "second_factor.recovery_codes_made", user_id)
    return [Secret(code) for code in codes]


def recovery_codes_left(session: Session, user_id: UUID) -> int:
    """How many recovery codes have not been used."""
    left: int = session.execute(_CODES_LEFT, {"user": user_id}).scalar_one()
    return left


def check_code(
    session: Session, user_id: UUID, code: str, *, keyring: Keyring, now: datetime
) -> bool:
    """Whether a code of the app or a recovery code is good, and spend it, in the SYSTEM scope."""
    row = session.execute(_FACTOR, {"user": user_id}).one_or_none()
    if row is None or row.confirmed_at is None:
        return False
    secret = _open(keyring, user_id, "secret_sealed", row.secret_sealed)
    step = matching_step(secret.reveal(), code, now=now, after=row.last_step)
    if step is not None:
        session.execute(_USED, {"user": user_id, "step": step})
        return True
    values = {"user": user_id, "hash": _hash(code), "now": now}
    if session.execute(_SPEND_CODE, values).scalar_one_or_none() is None:
        return False
    _audit(
        session,
        "second_factor.recovery_code_used",
        user_id,
        left=recovery_codes_left(session, user_id),
    )
    return True


def forget_second_factor(session: Session, user_id: UUID) -> bool:
    """Take a person's second factor away, as the caller audits; False if there was none."""
    session.execute(_FORGET_CODES, {"user": user_id})
    return bool(session.execute(_REMOVE, {"user": user_id}).rowcount)  # type: ignore[attr-defined]


def remove_second_factor(session: Session, user_id: UUID) -> bool:
    """Take one's own second factor away, in the SYSTEM scope; False if there was none."""
    was_there = forget_second_factor(session, user_id)
    if was_there:
        _audit(session, "second_factor.removed", user_id)
    return was_there


def _seal(keyring: Keyring, user_id: UUID, column: str, secret: str | Secret) -> bytes:
    return keyring.seal(Purpose.SECRETS, secret, table=TABLE, row_id=user_id, column=column)


def _open(keyring: Keyring, user_id: UUID, column: str, sealed: bytes) -> Secret:
    return keyring.open_sealed(Purpose.SECRETS, sealed, table=TABLE, row_id=user_id, column=column)


def _hash(code: str) -> bytes:
    """Recovery codes have the bits of a key: a fast hash does."""
    return hashlib.sha256(recovery_digits(code).encode("utf-8", "replace")).digest()


def _audit(session: Session, action: str, user_id: UUID, **detail: Any) -> None:
    """What a person did with their own second factor."""
    record(session, action, object_kind="user", object_id=user_id, actor_id=user_id, detail=detail)
