"""Sign what is delivered as Stripe documents it, written apart from the code that checks it."""

import hashlib
import hmac
from collections.abc import Iterable


def sign(body: bytes, secrets: Iterable[str], *, at: int) -> str:
    """One signature for each secret that is active."""
    parts = [f"t={at}"]
    for secret in secrets:
        mac = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256)
        parts.append(f"v1={mac.hexdigest()}")
    return ",".join(parts)
