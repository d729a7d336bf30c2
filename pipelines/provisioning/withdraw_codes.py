"""Take back codes that nobody redeemed: leaked ones, and such as were loaded with a wrong value."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from models.tenants import Campaign
from pipelines.audit.record import record
from pipelines.errors import NotFound

#: Locked before it is looked who was redeemed: who redeems one just now goes first, or finds none.
_LOCK = text("""
SELECT count(*) FROM (
    SELECT 1 FROM loaded_codes
    WHERE campaign_id = :campaign AND withdrawn_at IS NULL
      AND brand_id = coalesce(CAST(:brand AS uuid), brand_id)
      AND denomination_minor = coalesce(CAST(:denomination AS bigint), denomination_minor)
    ORDER BY blind_index FOR NO KEY UPDATE) l
""")
_WITHDRAW = text("""
UPDATE loaded_codes l SET withdrawn_at = :now
WHERE campaign_id = :campaign AND withdrawn_at IS NULL
  AND brand_id = coalesce(CAST(:brand AS uuid), brand_id)
  AND denomination_minor = coalesce(CAST(:denomination AS bigint), denomination_minor)
  AND NOT EXISTS (SELECT FROM redemption_codes r
      WHERE r.campaign_id = l.campaign_id AND r.blind_index = l.blind_index)
""")


@dataclass(frozen=True, slots=True)
class CodesToWithdraw:
    """Whose open codes: all of the campaign, or those of a brand or value (minor units) alone."""

    campaign_id: UUID
    brand_id: UUID | None
    denomination_minor: int | None


def withdraw_codes(
    session: Session, wanted: CodesToWithdraw, *, reason: str, actor_id: UUID, now: datetime
) -> UUID:
    """Make the open codes bring nothing from now on; the campaign's id. Raises `NotFound`.

    A code that brought a card, or is about to, stays as it is: its card is replaced or undone.
    """
    campaign = session.execute(
        select(Campaign.agency_id, Campaign.client_id).where(Campaign.id == wanted.campaign_id)
    ).one_or_none()
    if campaign is None:
        raise NotFound
    values = {
        "campaign": wanted.campaign_id,
        "brand": wanted.brand_id,
        "denomination": wanted.denomination_minor,
        "now": now,
    }
    session.execute(_LOCK, values)
    withdrawn = session.execute(_WITHDRAW, values).rowcount  # type: ignore[attr-defined]
    record(
        session,
        "codes.withdrawn",
        object_kind="campaign",
        object_id=wanted.campaign_id,
        actor_id=actor_id,
        agency_id=campaign.agency_id,
        client_id=campaign.client_id,
        detail={
            "withdrawn": withdrawn,
            "brand_id": str(wanted.brand_id) if wanted.brand_id else None,
            "denomination_minor": wanted.denomination_minor,
            "reason": reason,
        },
    )
    return wanted.campaign_id
