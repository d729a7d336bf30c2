"""Notice who redeems many different codes within an hour: a network is stopped, a program told of.

Programs are alike in honest groups, so one program in a network raises the alert alone (S4-111).

Where a code was redeemed from stands in the audit log: the network, cut, and a digest of the
program's own words. Counted in PostgreSQL, because each code is money.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.alerts.kinds import SUSPICIOUS_REDEMPTIONS
from pipelines.alerts.raise_alert import raise_alert
from pipelines.audit.circumstances import circumstances
from pipelines.audit.record import record
from pipelines.errors import Kind, Refusal

#: Different codes of one campaign in an hour: an office has people behind one address.
CODES_OF_NETWORK_MAX = 60
#: By one program there: told of, never stopped, because a class or an office has equal phones.
CODES_OF_AGENT_TOLD = 20
HOUR_SECONDS = 3600

_LATELY = text("""
SELECT count(*) AS of_network, count(*) FILTER (WHERE lately.agent = :agent) AS of_agent
FROM (
    SELECT coalesce(e.detail->>'agent', '') AS agent FROM audit_entries e
    WHERE e.at > CAST(:now AS timestamptz) - interval '1 hour' AND e.action = 'code.redeemed'
      AND e.address = :network AND e.client_id = :client AND e.detail->>'campaign_id' = :campaign
    LIMIT :most) lately
""")
_TENANT = text("SELECT agency_id, client_id FROM campaigns WHERE id = :campaign")


class TooManyCodes(Refusal):
    """Many different codes were redeemed from one place within an hour."""

    code = "rate_limited"
    kind = Kind.THROTTLED
    detail = "Many codes were redeemed from where you are. Yours stays good: try again in an hour."


def refuse_collectors(session: Session, campaign_id: UUID, *, now: datetime) -> None:
    """Raise `TooManyCodes` where a further code would be one too many."""
    network, _agent = _lately(session, campaign_id, now)
    if network >= CODES_OF_NETWORK_MAX:
        raise TooManyCodes(retry_after_seconds=HOUR_SECONDS)


def note_redemption(session: Session, campaign_id: UUID, job_id: UUID, *, now: datetime) -> None:
    """Write down from where a code was redeemed; many of them raise the alert."""
    tenant = session.execute(_TENANT, {"campaign": campaign_id}).one()
    record(
        session,
        "code.redeemed",
        object_kind="job",
        object_id=job_id,
        actor_id=None,
        agency_id=tenant.agency_id,
        client_id=tenant.client_id,
        detail={"agent": circumstances().agent, "campaign_id": str(campaign_id)},
    )
    network, agent = _lately(session, campaign_id, now)
    if network >= CODES_OF_NETWORK_MAX or agent >= CODES_OF_AGENT_TOLD:
        raise_alert(
            session,
            SUSPICIOUS_REDEMPTIONS,
            subject_id=campaign_id,
            detail={"codes": network, "of_one_program": agent, "within_minutes": 60},
            now=now,
            agency_id=tenant.agency_id,
            client_id=tenant.client_id,
        )


def _lately(session: Session, campaign_id: UUID, now: datetime) -> tuple[int, int]:
    """Codes redeemed within the hour from this request's network, and by its program there."""
    request = circumstances()
    tenant = session.execute(_TENANT, {"campaign": campaign_id}).one()
    values = {
        "now": now,
        "network": request.address,
        "agent": request.agent or "",
        "client": tenant.client_id,
        "campaign": str(campaign_id),
        "most": CODES_OF_NETWORK_MAX,
    }
    found = session.execute(_LATELY, values).one()
    return found.of_network, found.of_agent
