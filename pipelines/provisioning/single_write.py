"""Write an accepted single request: its rows and its hold in one statement.

The account is touched by the statement that also writes everything else, so nothing waits in between.
"""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.base import new_id
from pipelines.credit.hold import Payer, refusal_of
from pipelines.jobs.kinds import PROVISIONING
from pipelines.jobs.single_rows import WITH_SINGLE_ROWS, SingleItem, SingleJob, single_values
from pipelines.limits import Limits
from pipelines.provisioning.campaigns import BrandInUse, CampaignInUse
from pipelines.provisioning.recipients import Recipient
from pipelines.queue.keys import RequestKey


@dataclass(frozen=True, slots=True)
class Replaced:
    """What the card of a request takes the place of; its people are kept no longer than there."""

    provision_id: UUID
    job_id: UUID
    retain_until: date


@dataclass(frozen=True, slots=True)
class AcceptedRequest:
    """Everything the rows of an accepted request say; the charge in minor units."""

    job_id: UUID
    campaign: CampaignInUse
    brand: BrandInUse
    recipient: Recipient
    person_key: bytes | None
    delivery_method: str
    charge_minor: int
    has_redemption_code: bool
    actor_id: UUID
    key: RequestKey | None
    replaced: Replaced | None = None


# `held` is empty when the account does not cover the charge: the caller then rolls everything back.
_WRITE = text(
    WITH_SINGLE_ROWS
    + """, held AS (
    UPDATE accounts SET held = held + :charge_minor
    WHERE id = :account AND frozen_at IS NULL AND restricted_at IS NULL
      AND (unlimited OR balance - held >= :charge_minor)
    RETURNING id, agency_id, client_id, currency
), hold AS (
    INSERT INTO holds (id, agency_id, client_id, account_id, job_id, round, currency, amount)
    SELECT :hold, agency_id, client_id, id, :job, 1, currency, :charge_minor FROM held
)
SELECT count(*) FROM held
"""
)


def write_single(
    session: Session, request: AcceptedRequest, payer: Payer, *, now: datetime, limits: Limits
) -> UUID:
    """Write the request and return its task, which the accepter rings itself.

    Raises what `place_hold` does; the caller's transaction must then be rolled back.
    """
    task_id = new_id()
    values = single_values(_job(request), task_id, now=now, limits=limits)
    paid = {"account": payer.account_id, "hold": new_id()}
    covered = session.execute(_WRITE, values | paid).scalar_one()
    if covered == 0:
        raise refusal_of(session, payer, request.charge_minor)
    return task_id


def _job(request: AcceptedRequest) -> SingleJob:
    campaign, recipient, replaced = request.campaign, request.recipient, request.replaced
    spec = {
        "brand_id": str(request.brand.id),
        "denomination_minor": recipient.denomination_minor,
        "cheapest_minor": request.charge_minor,
        "has_redemption_code": request.has_redemption_code,
        "delivery_method": request.delivery_method,
    } | ({"replaces": str(replaced.provision_id)} if replaced else {})
    return SingleJob(
        request.job_id,
        PROVISIONING,
        campaign.agency_id,
        campaign.client_id,
        spec,
        request.actor_id,
        request.key,
        item=SingleItem(
            reference=recipient.reference,
            email=recipient.email,
            name=recipient.name,
            phone=recipient.phone,
            person_key=request.person_key,
            brand_id=request.brand.id,
            denomination_minor=recipient.denomination_minor,
            charge_minor=request.charge_minor,
        ),
        campaign_id=campaign.id,
        currency=request.brand.currency,
        retain_until=replaced.retain_until if replaced else None,
        copied_from=replaced.job_id if replaced else None,
    )
