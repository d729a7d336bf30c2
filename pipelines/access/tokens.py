"""Access tokens: short-lived signed claims that name a sign-in, so that it can be ended."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import jwt

ALGORITHM = "HS256"
AUDIENCE = "largesse"
TOKEN_CHARACTERS_MAX = 4096


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """Who the token is for, and the sign-in it rests on."""

    user_id: UUID
    sign_in_id: UUID


def issue_access_token(
    claims: AccessClaims, *, role: str, key: bytes, now: datetime, seconds: int
) -> str:
    """A token that is good for `seconds`, or until its sign-in ends."""
    return jwt.encode(
        {
            "sub": str(claims.user_id),
            "sid": str(claims.sign_in_id),
            "role": role,
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + timedelta(seconds=seconds),
        },
        key,
        algorithm=ALGORITHM,
    )


def read_access_token(token: str, *, key: bytes) -> AccessClaims | None:
    """The claims of a genuine, unexpired token; None for every other text."""
    if len(token) > TOKEN_CHARACTERS_MAX:
        return None
    try:
        claims = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            options={"require": ["exp", "iat", "sub", "sid", "aud"], "strict_aud": True},
        )
        return AccessClaims(UUID(claims["sub"]), UUID(claims["sid"]))
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError):
        return None
