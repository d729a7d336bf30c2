"""Hash and check passwords with argon2id; unknown people cost the same time as known ones.

Hashes that came from elsewhere may be bcrypt's: they are checked, and replaced at the next sign-in.
"""

import unicodedata

import bcrypt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from pipelines.errors import FieldError, ValidationFailed

#: 19 MiB, two passes, one lane: about 60 ms here, and many sign-ins fit into memory at once.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
CHARACTERS_MAX = 128
#: bcrypt looks at no more of a password, and refuses a longer one.
BCRYPT_BYTES_MAX = 72
_BCRYPT = ("$2a$", "$2b$", "$2y$")
#: A hash that no password matches, so that a sign-in of nobody takes its time too.
_NOBODY = _HASHER.hash("a password that nobody has")


def hash_password(password: str) -> str:
    """The argon2id hash to keep; raises `ValidationFailed` for an over-long password."""
    if len(password) > CHARACTERS_MAX:
        detail = f"A password may have {CHARACTERS_MAX} characters."
        raise ValidationFailed(errors=(FieldError("too_long", detail, pointer="/password"),))
    return _HASHER.hash(_canonical(password))


def is_password(password: str, kept_hash: str | None) -> bool:
    """Whether the password matches; without a hash the answer is no, after the same work."""
    if kept_hash is not None and kept_hash.startswith(_BCRYPT):
        return _is_bcrypt(password, kept_hash)
    try:
        matches = _HASHER.verify(kept_hash or _NOBODY, _canonical(password[:CHARACTERS_MAX]))
    except (VerifyMismatchError, InvalidHashError):
        return False
    return matches and kept_hash is not None


def is_outdated(kept_hash: str | None) -> bool:
    """Whether a hash should be replaced when its password is next known."""
    if kept_hash is None:
        return False
    return kept_hash.startswith(_BCRYPT) or _HASHER.check_needs_rehash(kept_hash)


def _is_bcrypt(password: str, kept_hash: str) -> bool:
    try:
        return bcrypt.checkpw(password.encode()[:BCRYPT_BYTES_MAX], kept_hash.encode())
    except ValueError:  # not a hash after all
        return False


def _canonical(password: str) -> str:
    return unicodedata.normalize("NFKC", password)
