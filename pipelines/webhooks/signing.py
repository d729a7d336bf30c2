"""Secrets of endpoints and the signature of what they are sent (EC-134)."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

SIGNATURE_HEADER = "X-Signature"
EVENT_HEADER = "X-Event-Id"
_HEAD = "whsec_"
#: Of the lasting key from which secrets are made.
LABEL = "webhooks"


def secret_of(endpoint_id: UUID, version: int, *, key: bytes) -> str:
    """The secret of an endpoint by its version: made anew each time, and kept nowhere."""
    drawn = hmac.digest(key, endpoint_id.bytes + version.to_bytes(8, "big"), hashlib.sha256)
    return _HEAD + base64.urlsafe_b64encode(drawn).decode().rstrip("=")


def signature(content: bytes, secrets: Sequence[str], *, at: datetime) -> str:
    """`t=<unix seconds>,v1=<hex>`, one `v1` for each secret that is good now.

    Each is the HMAC-SHA256 under the whole secret of the seconds, a dot, and the bytes sent.
    """
    seconds = int(at.timestamp())
    signed = f"{seconds}.".encode() + content
    parts = [hmac.digest(secret.encode(), signed, hashlib.sha256).hex() for secret in secrets]
    return ",".join([f"t={seconds}", *(f"v1={part}" for part in parts)])
