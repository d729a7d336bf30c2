"""Read a partner's token: HS256 and nothing else, every member as agreed, three minutes at most (SEC-06).

PyJWT checks the signature and the shapes that it knows; lifetime and shapes that it lets through
(an exp ten years ahead, an empty jti, a number as text) are ours, against the database's time.
"""

import base64
import binascii
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import jwt

AUDIENCE = "largesse"
ALGORITHM = "HS256"
LIFETIME_SECONDS_MAX = 180
#: How far the clocks of the partner and ours may be apart.
LEEWAY_SECONDS = 5
TOKEN_BYTES_MAX = 4 * 1024
SECRET_BYTES = 32
SUBJECT_CHARACTERS_MAX = 255
_JTI = re.compile(r"[\x21-\x7e]{16,128}")
_HEADER_NAMES = {"alg", "typ"}
_REQUIRED = ("exp", "iat", "jti", "aud", "iss", "sub")
#: Stands in where there is no partner: its signature is checked all the same.
_NOBODYS_KEY = secrets.token_bytes(SECRET_BYTES)


class Fault(StrEnum):
    """What is wrong with a token; the public hears less of most (`told.py`)."""

    TOO_LONG = "too_long"
    NOT_A_JWT = "not_a_jwt"
    HEADER = "header"
    ALGORITHM = "algorithm"
    PARTNER = "partner"
    SIGNATURE = "signature"
    MISSING = "missing"
    AUDIENCE = "audience"
    TIMES = "times"
    JTI = "jti"
    SUBJECT = "subject"
    LIFETIME = "lifetime"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"


class TokenFault(Exception):
    """The token is not good; `fault` says why, for whoever may know."""

    def __init__(self, fault: Fault, what: str = "") -> None:
        self.fault = fault
        #: Names of members, never values.
        self.what = what
        super().__init__(fault.value)


@dataclass(frozen=True, slots=True)
class PartnerToken:
    """What a good token says; `secret` is the place of the key that signed it."""

    external_id: str
    jti: str
    expires_at: int
    secret: int


def new_secret() -> str:
    """32 random bytes as base64: what a partner is shown, once (S0-04)."""
    return base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def named_partner(token: str) -> UUID | None:
    """Whose the token says that it is, before anything of it is believed."""
    parts = token.split(".")
    if len(token) > TOKEN_BYTES_MAX or len(parts) != 3:
        return None
    try:
        issuer = _json(parts[1]).get("iss")
        found = UUID(issuer) if isinstance(issuer, str) else None
    except ValueError:
        return None
    # Exactly as it was given out: another spelling of the same number is nobody.
    return found if found is not None and str(found) == issuer else None


def read_token(
    token: str, keys: Sequence[str], *, partner_id: UUID | None, now: datetime
) -> PartnerToken:
    """What the token says if one of the partner's keys (base64) signed it; raises `TokenFault`.

    Without a partner or a key as much is done, and the token is never good (EC-115).
    """
    if len(token.encode("utf-8", "replace")) > TOKEN_BYTES_MAX:
        raise TokenFault(Fault.TOO_LONG)
    _check_header(token)
    claims, place = _signed(token, keys)
    if partner_id is None or claims.get("iss") != str(partner_id):
        raise TokenFault(Fault.PARTNER)
    if missing := [name for name in _REQUIRED if name not in claims]:
        raise TokenFault(Fault.MISSING, ", ".join(missing))
    if claims["aud"] != AUDIENCE:
        raise TokenFault(Fault.AUDIENCE)
    return _checked(claims, place, now)


def _check_header(token: str) -> None:
    parts = token.split(".")
    if len(parts) != 3:
        raise TokenFault(Fault.NOT_A_JWT)
    try:
        header = _json(parts[0])
    except ValueError:
        raise TokenFault(Fault.NOT_A_JWT) from None
    if header.get("alg") != ALGORITHM:
        raise TokenFault(Fault.ALGORITHM)
    if strange := sorted(set(header) - _HEADER_NAMES):
        raise TokenFault(Fault.HEADER, ", ".join(name for name in strange if name.isidentifier()))


def _signed(token: str, keys: Sequence[str]) -> tuple[dict[str, Any], int]:
    """Whom the token is of, and the place of the key that signed it."""
    tried = [base64.b64decode(key, validate=True) for key in keys] or [_NOBODYS_KEY]
    for place, key in enumerate(tried):
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                options={
                    "verify_aud": False,
                    "verify_iss": False,
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                    "verify_sub": False,
                    "verify_jti": False,
                    "enforce_minimum_key_length": True,
                },
            )
        except jwt.InvalidSignatureError:
            continue
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise TokenFault(Fault.NOT_A_JWT) from None
        if keys:
            return claims, place
    raise TokenFault(Fault.SIGNATURE)


def _checked(claims: dict[str, Any], place: int, now: datetime) -> PartnerToken:
    times = [claims[name] for name in ("exp", "iat", "nbf") if name in claims]
    if any(type(moment) is not int or not 0 < moment < 2**40 for moment in times):
        raise TokenFault(Fault.TIMES)
    jti, subject = claims["jti"], claims["sub"]
    if not isinstance(jti, str) or not _JTI.fullmatch(jti):
        raise TokenFault(Fault.JTI)
    if not _is_subject(subject):
        raise TokenFault(Fault.SUBJECT)
    issued, expires = claims["iat"], claims["exp"]
    if not 0 < expires - issued <= LIFETIME_SECONDS_MAX:
        raise TokenFault(Fault.LIFETIME)
    moment = now.timestamp()
    if max(issued, claims.get("nbf", issued)) > moment + LEEWAY_SECONDS:
        raise TokenFault(Fault.NOT_YET_VALID)
    if expires <= moment - LEEWAY_SECONDS:
        raise TokenFault(Fault.EXPIRED)
    return PartnerToken(subject, jti, expires, place)


def _is_subject(subject: object) -> bool:
    """Exact characters, none of which the database cannot keep; not trimmed, not folded (EC-107)."""
    if not isinstance(subject, str) or not 1 <= len(subject) <= SUBJECT_CHARACTERS_MAX:
        return False
    return "\0" not in subject and not any("\ud800" <= c <= "\udfff" for c in subject)


def _json(part: str) -> dict[str, Any]:
    """A part of the token; raises `ValueError` for whatever is no object."""
    try:
        raw = base64.b64decode(
            part.encode("ascii") + b"=" * (-len(part) % 4), altchars=b"-_", validate=True
        )
        found = json.loads(raw)
    except (binascii.Error, UnicodeError, RecursionError):
        raise ValueError("no part of a token") from None
    if not isinstance(found, dict):
        raise ValueError("no part of a token")  # noqa: TRY004 - one error for all that is none
    return found
