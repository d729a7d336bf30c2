"""The link that a redeemed code leads to: good at once, before there is a card (S4-054).

It names the request. While the card is on its way it says so; then it leads to the card's own
first link, and dies with that.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models import clock
from models.jobs import ItemState, JobState
from pipelines.errors import NotFound
from pipelines.provisioning.reveal import (
    FIRST_VERSION,
    TAG_BYTES,
    RevealFacts,
    facts_by_token,
    read_token,
    reveal_token,
    spell_token,
)
from pipelines.sealing import Keyring

_LABEL = "redeem-links"
#: A card that takes longer is told to take longer.
USUAL_SECONDS = 120
_REFUSED = frozenset({ItemState.FAILED, ItemState.CANCELLED, ItemState.SKIPPED})

_AWAITED = text("""
SELECT j.id, j.state AS job_state, j.created_at, i.state, i.denomination_minor, j.currency,
    b.name AS brand, c.name AS sender, p.id AS provision_id
FROM jobs j JOIN items i ON i.job_id = j.id AND i.position = 1
JOIN brands b ON b.id = i.brand_id JOIN clients c ON c.id = j.client_id
LEFT JOIN provisions p ON p.job_id = j.id AND p.position = 1
WHERE j.id = :job
""")


class Progress(StrEnum):
    """How far a card is that cannot be opened."""

    PREPARING = "preparing"
    #: It takes longer than usual: the vendor does not answer, or somebody has to look.
    DELAYED = "delayed"
    #: There is none; the code is free again.
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Awaited:
    """What the page of a card may say that is not there yet; `job_id` is for who helps."""

    job_id: UUID
    progress: Progress
    brand: str
    value_minor: int
    currency: str
    sender: str


def redeem_token(job_id: UUID, keyring: Keyring) -> str:
    """The token of a request's link: rendered when needed, never stored."""
    return spell_token(job_id, _tag(job_id, keyring))


def facts_of_link(session: Session, token: str, keyring: Keyring) -> RevealFacts | Awaited:
    """What any link's page shows; raises what `facts_by_token` raises."""
    try:
        return facts_by_token(session, token, keyring)
    except NotFound:
        job_id, tag = read_token(token)
        if not hmac.compare_digest(tag, _tag(job_id, keyring)):
            raise
    row = session.execute(_AWAITED, {"job": job_id}).one_or_none()
    if row is None:
        raise NotFound
    if row.provision_id is not None:
        first = reveal_token(row.provision_id, FIRST_VERSION, keyring)
        return facts_by_token(session, first, keyring)
    return Awaited(
        row.id,
        _progress(row, clock.now(session)),
        row.brand,
        row.denomination_minor,
        row.currency,
        row.sender,
    )


def _progress(row: Row[Any], now: datetime) -> Progress:
    if row.state in _REFUSED:
        return Progress.REFUSED
    is_late = (now - row.created_at).total_seconds() > USUAL_SECONDS
    waits = row.state == ItemState.NEEDS_REVIEW or row.job_state == JobState.PAUSED
    return Progress.DELAYED if waits or is_late else Progress.PREPARING


def _tag(job_id: UUID, keyring: Keyring) -> bytes:
    return hmac.digest(keyring.lasting_key(_LABEL), job_id.bytes, hashlib.sha256)[:TAG_BYTES]
