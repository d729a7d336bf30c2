"""What a password must be: long, and not one of those that are tried first (SEC-02, S1-096).

NIST SP 800-63B: no rules of composition and no expiry; any characters, up to a length that bounds
the work of hashing.
"""

from collections.abc import Iterable

from zxcvbn import zxcvbn

from pipelines.errors import FieldError

CHARACTERS_MIN = 15
CHARACTERS_MAX = 128
#: The estimate of guesses looks at no more; a longer password is judged by its beginning.
JUDGED_CHARACTERS_MAX = 72
#: zxcvbn's scale of 0 to 4: 3 takes more than a hundred million guesses.
SCORE_MIN = 3
#: Beside the words that are guessed first for a person, so much is their own.
OWN_CHARACTERS_MIN = 8


def password_error(
    password: str, *, words: Iterable[str] = (), pointer: str = "/password"
) -> FieldError | None:
    """Why a password will not do; None if it will.

    `words` are those that are guessed first for this person: address, name, tenant.
    """
    if len(password) < CHARACTERS_MIN:
        detail = f"A password has at least {CHARACTERS_MIN} characters; several words do well."
        return FieldError("too_short", detail, pointer=pointer)
    if len(password) > CHARACTERS_MAX:
        detail = f"A password has at most {CHARACTERS_MAX} characters."
        return FieldError("too_long", detail, pointer=pointer)
    parts = _parts([*words, "largesse"])
    judged = zxcvbn(password[:JUDGED_CHARACTERS_MAX], user_inputs=parts)
    if judged["score"] < SCORE_MIN or _own_characters(password, parts) < OWN_CHARACTERS_MIN:
        detail = "This password is among those that are tried first. Choose words of your own."
        return FieldError("too_common", detail, pointer=pointer)
    return None


def _own_characters(password: str, parts: Iterable[str]) -> int:
    """How many characters are left of a password without these words."""
    rest = "".join(c for c in password.casefold() if c.isalnum() or c.isspace())
    for part in sorted(parts, key=len, reverse=True):
        rest = rest.replace("".join(c for c in part if c.isalnum()), "")
    return len(rest)


def _parts(words: Iterable[str]) -> list[str]:
    """Each word whole, and what stands before and after its punctuation."""
    whole = [word.casefold() for word in words if word]
    cut = "".join(c if c.isalnum() else " " for c in " ".join(whole)).split()
    return whole + [part for part in cut if len(part) > 2]
