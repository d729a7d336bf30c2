"""What the pretend shop knows: its customers, the vendor it is at Largesse, and how it signs."""

import base64
import binascii
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import jwt

AUDIENCE = "largesse"
#: A token is for one exchange just now; Largesse takes none that lives for more than 180 s.
TOKEN_SECONDS = 120
SECRET_BYTES = 32
#: The shop's customers, by the ids that the shop itself gave them.
CUSTOMERS: Mapping[str, str] = {
    "customer-1001": "Ada",
    "customer-1002": "Ben",
    "customer-1003": "Chloé",
}


class NotASecret(ValueError):
    """The text is not a partner secret."""


@dataclass(frozen=True, slots=True)
class Vendor:
    """Who the shop is at Largesse, and where Largesse is."""

    vendor_id: str
    host: str
    secret: bytes = field(repr=False)

    def sign(
        self, customer: str, *, issued_at: int | None = None, secret: bytes | None = None
    ) -> str:
        """A token for one customer; an old one or a forged one, if that is asked for."""
        now = int(time.time()) if issued_at is None else issued_at
        claims = {
            "iss": self.vendor_id,
            "aud": AUDIENCE,
            "sub": customer,
            "iat": now,
            "exp": now + TOKEN_SECONDS,
            "jti": secrets.token_hex(16),
        }
        return jwt.encode(claims, secret or self.secret, algorithm="HS256")


class Shop:
    """The vendor that was handed over; in this process alone, and gone with it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._vendor: Vendor | None = None

    @property
    def vendor(self) -> Vendor | None:
        with self._lock:
            return self._vendor

    def become(self, vendor: Vendor) -> None:
        with self._lock:
            self._vendor = vendor

    def leave(self) -> None:
        with self._lock:
            self._vendor = None


def secret_of(text: str) -> bytes:
    """The bytes of a secret as Largesse shows it once; raises `NotASecret`."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NotASecret from None
    if len(raw) != SECRET_BYTES:
        raise NotASecret
    return raw
