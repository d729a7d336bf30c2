"""Tell endpoints of a delivery that failed for good: the card is its recipient's, and waits."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.webhooks.catalogue import DELIVERY_FAILED
from pipelines.webhooks.happened import Event, happened

# Only if this transaction ended it so: what was taken back or sent anew meanwhile stays as it is.
_FAILED = text("""
SELECT d.id, d.agency_id, d.client_id, d.job_id, d.position, d.channel, d.sending,
    coalesce(d.tries -> -1 ->> 'outcome', d.code) AS outcome, p.id AS redemption_id
FROM deliveries d JOIN provisions p ON p.job_id = d.job_id AND p.position = d.position
WHERE d.id = :id AND d.state = 'failed' AND d.ended_at = :now
""")


def tell_failed(session: Session, delivery_id: UUID, *, now: datetime) -> None:
    """After whatever may have ended it, in the same transaction."""
    row = session.execute(_FAILED, {"id": delivery_id, "now": now}).one_or_none()
    if row is None:
        return
    data = {
        "redemption_id": str(row.redemption_id),
        "job_id": str(row.job_id),
        "position": row.position,
        "channel": row.channel,
        "sending": row.sending,
        "outcome": row.outcome,
    }
    event = Event(DELIVERY_FAILED, row.id, row.agency_id, row.client_id, data)
    happened(session, event, now=now)
