"""Whether Stripe signed these bytes, just now: pure, and stricter than its SDK (EC-031).

That takes any moment in the future, and fails on a body that is no text. Here a signature is good
for five minutes both ways, and bytes are bytes.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence

#: Seconds that a signature may be away from now.
TOLERANCE_SECONDS = 300
_TIME = re.compile(r"[0-9]{1,12}")
_SIGNATURE = re.compile(r"[0-9a-f]{64}")
#: One for each secret that is good at a time, and no more are looked at.
_SIGNATURES_MAX = 16


def signed_with(header: str, body: bytes, secrets: Sequence[str], *, now: float) -> int | None:
    """The place of the first of our secrets that a `v1` signature fits; None: it is not Stripe's.

    `now` in seconds since 1970.
    """
    parts = [part.strip().partition("=") for part in header.split(",")]
    times = [value for name, _, value in parts if name == "t"]
    given = [value for name, _, value in parts if name == "v1" and _SIGNATURE.fullmatch(value)]
    if len(times) != 1 or not _TIME.fullmatch(times[0]) or not given:
        return None
    if abs(now - int(times[0])) > TOLERANCE_SECONDS:
        return None
    signed = times[0].encode() + b"." + body
    for place, secret in enumerate(secrets):
        right = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
        if any(hmac.compare_digest(right, one) for one in given[:_SIGNATURES_MAX]):
            return place
    return None
