"""Hash and check passwords with argon2id; unknown people cost the same time as known ones.

Hashes that came from elsewhere may be bcrypt's: they are checked, and replaced at the next sign-in.
Until then the time of a check tells that the account came from elsewhere.
"""

import unicodedata
from collections.abc import Iterable

import bcrypt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from pipelines.access.password_rules import CHARACTERS_MAX, password_error
from pipelines.errors import ValidationFailed

#: 19 MiB, two passes, one lane: about 60 ms here, and many sign-ins fit into memory at once.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
#: bcrypt looks at no more of a password, and refuses a longer one.
BCRYPT_BYTES_MAX = 72
_BCRYPT = ("$2a$", "$2b$", "$2y$")
#: A hash that no password matches, so that a sign-in of nobody takes its time too.
_NOBODY = _HASHER.hash("a password that nobody has")


def hash_password(password: str) -> str:
    """The argon2id hash to keep of a password that is known to be good."""
    return _HASHER.hash(_checked_part(password))


def hash_chosen(password: str, *, words: Iterable[str], pointer: str = "/password") -> str:
    """The hash of a password that somebody chose; raises `ValidationFailed` if it will not do."""
    error = password_error(password, words=words, pointer=pointer)
    if error is not None:
        raise ValidationFailed(errors=(error,))
    return hash_password(password)


def is_password(password: str, kept_hash: str | None) -> bool:
    """Whether the password matches; without a hash the answer is no, after the same work."""
    if kept_hash is not None and kept_hash.startswith(_BCRYPT):
        return _is_bcrypt(password, kept_hash)
    try:
        matches = _HASHER.verify(kept_hash or _NOBODY, _checked_part(password))
    except (VerificationError, InvalidHashError):
        return False
    return matches and kept_hash is not None


def is_outdated(kept_hash: str | None, password: str) -> bool:
    """Whether a hash should be replaced by one of this password, which was found right.

    Not bcrypt's of a password that it saw the beginning of: the rest was not checked, and one typed
    wrong would become the password.
    """
    if kept_hash is None:
        return False
    if kept_hash.startswith(_BCRYPT):
        return len(password.encode()) < BCRYPT_BYTES_MAX
    return _HASHER.check_needs_rehash(kept_hash)


def _is_bcrypt(password: str, kept_hash: str) -> bool:
    try:
        return bcrypt.checkpw(password.encode()[:BCRYPT_BYTES_MAX], kept_hash.encode())
    except ValueError:  # not a hash after all
        return False


def _checked_part(password: str) -> str:
    """What is hashed and checked, one and the same: what is longer was never accepted."""
    return unicodedata.normalize("NFKC", password[:CHARACTERS_MAX])
