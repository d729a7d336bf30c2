"""What became of the links of cards: of one card with its tries, of a whole job in figures."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.errors import NotFound

_ONE = text("""
SELECT p.id AS redemption_id, d.channel, coalesce(d.state, 'none') AS state, d.code, d.sending,
    d.attempts, d.tries, d.ended_at, p.revealed_at
FROM provisions p LEFT JOIN deliveries d ON d.job_id = p.job_id AND d.position = p.position
WHERE p.id = :provision
""")
_OF_JOB = text("""
SELECT count(*) FILTER (WHERE d.state = 'waiting') AS waiting,
    count(*) FILTER (WHERE d.state IN ('sent', 'delivered')) AS sent,
    count(*) FILTER (WHERE d.state = 'delivered') AS delivered,
    count(*) FILTER (WHERE d.state = 'failed') AS failed,
    count(*) FILTER (WHERE d.state = 'cancelled') AS cancelled, count(*) AS deliveries,
    count(*) FILTER (WHERE p.revealed_at IS NOT NULL) AS opened
FROM deliveries d JOIN provisions p ON p.job_id = d.job_id AND p.position = d.position
WHERE d.job_id = :job
""")


@dataclass(frozen=True, slots=True)
class DeliveryFigures:
    """How many links of a job's cards wait, went out, failed; how many cards were opened.

    `delivered` are those of `sent` that a phone has taken: mail does not tell.
    """

    waiting: int
    sent: int
    delivered: int
    failed: int
    cancelled: int
    deliveries: int
    opened: int


def delivery_of(session: Session, provision_id: UUID) -> dict[str, Any]:
    """The delivery of one card, without any address; `NotFound` beyond this scope."""
    row = session.execute(_ONE, {"provision": provision_id}).one_or_none()
    if row is None:
        raise NotFound
    return dict(row._mapping) | {"tries": row.tries or []}


def delivery_figures(session: Session, job_id: UUID) -> DeliveryFigures:
    """One statement over the job's deliveries."""
    return DeliveryFigures(**session.execute(_OF_JOB, {"job": job_id}).one()._mapping)
