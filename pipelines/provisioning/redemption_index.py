"""How a redemption code is found without being kept: one spelling, one index per campaign."""

import hashlib
from uuid import UUID

from pipelines.sealing import Keyring


def redemption_index(code: str, campaign_id: UUID, keyring: Keyring) -> bytes:
    """The blind index of a code as people type it: case and outer spaces say nothing."""
    return keyring.blind_index(
        hashlib.sha256(canonical(code).encode()).hexdigest(), scope=campaign_id.bytes
    )


def canonical(code: str) -> str:
    """The one spelling of a code."""
    return code.strip().upper()
