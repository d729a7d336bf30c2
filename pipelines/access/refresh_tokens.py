"""Refresh tokens: they name a sign-in and its generation, so that a copy gives itself away (S1-101).

Nothing of a token is stored: the key that signs it is in no database.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from enum import Enum, auto
from uuid import UUID

PREFIX = "lgr_"
TOKEN_CHARACTERS_MAX = 256
#: How long the token before is taken for a repeat of a request whose answer was lost.
GRACE_SECONDS = 10.0
_UUID_BYTES, _GENERATION_BYTES, _MAC_BYTES = 16, 4, 32


@dataclass(frozen=True, slots=True)
class RefreshClaims:
    """The sign-in that a genuine token names, and the how-manieth of its tokens it is."""

    sign_in_id: UUID
    generation: int


class Standing(Enum):
    """What a genuine token of a living sign-in is worth."""

    NEWEST = auto()
    #: The one before, so shortly after that its holder may not have got the newest.
    REPEATED = auto()
    #: An older one: two hold tokens of this sign-in, and one of them should not.
    REUSED = auto()


def refresh_token(claims: RefreshClaims, *, key: bytes) -> str:
    """The token's text; the same claims give the same text."""
    body = claims.sign_in_id.bytes + claims.generation.to_bytes(_GENERATION_BYTES, "big")
    return PREFIX + base64.urlsafe_b64encode(body + _mac(body, key)).rstrip(b"=").decode()


def read_refresh_token(token: str, *, key: bytes) -> RefreshClaims | None:
    """The claims of a genuine token; None for every other text."""
    if len(token) > TOKEN_CHARACTERS_MAX or not token.startswith(PREFIX) or not token.isascii():
        return None
    encoded = token[len(PREFIX) :].encode()
    try:
        raw = base64.b64decode(encoded + b"=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(raw) != _UUID_BYTES + _GENERATION_BYTES + _MAC_BYTES:
        return None
    body, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(body, key)):
        return None
    return RefreshClaims(UUID(bytes=body[:_UUID_BYTES]), int.from_bytes(body[_UUID_BYTES:], "big"))


def standing_of(offered: int, newest: int, *, seconds_since_rotation: float | None) -> Standing:
    """What a token of generation `offered` is worth when `newest` was given out last."""
    if offered == newest:
        return Standing.NEWEST
    is_one_before = offered == newest - 1
    if is_one_before and (seconds_since_rotation or 0.0) <= GRACE_SECONDS:
        return Standing.REPEATED
    return Standing.REUSED


def _mac(body: bytes, key: bytes) -> bytes:
    return hmac.digest(key, b"refresh-token:" + body, hashlib.sha256)
