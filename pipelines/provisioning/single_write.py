"""Write an accepted single request: job, chunk, item, key, task and hold in one statement.

The same rows as a bulk submit writes, in one round trip: storefronts wait for this answer. The
account is touched by the statement that also writes everything else, so nothing waits in between.
"""

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session
from structlog.contextvars import get_contextvars

from models.base import new_id
from pipelines.credit.hold import Payer, refusal_of
from pipelines.jobs.kinds import PROVISIONING
from pipelines.limits import Limits
from pipelines.provisioning.campaigns import BrandInUse, CampaignInUse
from pipelines.provisioning.recipients import Recipient
from pipelines.queue.keys import RequestKey
from pipelines.queue.kinds import RUN_SINGLE, TASK_VERSION
from pipelines.queue.ring import rung_by_accepter


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
_WRITE = text("""
WITH job AS (
    INSERT INTO jobs (id, kind, agency_id, client_id, campaign_id, spec, total, currency,
                      is_single, submitted_by, request_id, retain_until, cloned_from_id)
    VALUES (:job, :kind, :agency, :client, :campaign, CAST(:spec AS jsonb), 1, :currency, true,
            :actor, :request_id, CAST(:retain_until AS date), :copied_from)
), chunk AS (
    INSERT INTO chunks (job_id, number, agency_id, client_id, first_position, last_position, state)
    VALUES (:job, 1, :agency, :client, 1, 1, 'released')
), item AS (
    INSERT INTO items (job_id, position, chunk_number, agency_id, client_id, reference, email,
                       name, phone, person_key, brand_id, denomination_minor, charge_minor)
    VALUES (:job, 1, 1, :agency, :client, :reference, :email, :name, :phone, :person, :brand,
            :denomination, :charge)
), key AS (
    INSERT INTO idempotency_keys (id, actor_id, key, fingerprint, status, resource_kind,
                                  resource_id)
    SELECT :key_id, :key_actor, :key, :fingerprint, 202, 'job', :job WHERE :has_key
), task AS (
    INSERT INTO tasks (id, kind, args, queue, lane, job_id, tenant_id, run_after, rung_at,
                       request_id, v)
    VALUES (:task, :task_kind, CAST(:task_args AS jsonb), :queue, :lane, :job, :client, :now,
            :rung_at, :request_id, :v)
), held AS (
    UPDATE accounts SET held = held + :charge
    WHERE id = :account AND frozen_at IS NULL AND restricted_at IS NULL
      AND (unlimited OR balance - held >= :charge)
    RETURNING id, agency_id, client_id, currency
), hold AS (
    INSERT INTO holds (id, agency_id, client_id, account_id, job_id, round, currency, amount)
    SELECT :hold, agency_id, client_id, id, :job, 1, currency, :charge FROM held
)
SELECT count(*) FROM held
""")


def write_single(
    session: Session, request: AcceptedRequest, payer: Payer, *, now: datetime, limits: Limits
) -> UUID:
    """Write the request and return its task, which the accepter rings itself.

    Raises what `place_hold` does; the caller's transaction must then be rolled back.
    """
    task_id = new_id()
    covered = session.execute(_WRITE, _values(request, payer, task_id, now, limits)).scalar_one()
    if covered == 0:
        raise refusal_of(session, payer, request.charge_minor)
    return task_id


def _values(
    request: AcceptedRequest, payer: Payer, task_id: UUID, now: datetime, limits: Limits
) -> dict[str, object]:
    campaign, recipient, key = request.campaign, request.recipient, request.key
    replaced = request.replaced
    retain_until = (now + timedelta(days=limits.retention_days)).date()
    spec = {
        "brand_id": str(request.brand.id),
        "denomination_minor": recipient.denomination_minor,
        "cheapest_minor": request.charge_minor,
        "has_redemption_code": request.has_redemption_code,
        "delivery_method": request.delivery_method,
    } | ({"replaces": str(replaced.provision_id)} if replaced else {})
    return {
        "job": request.job_id,
        "kind": PROVISIONING,
        "agency": campaign.agency_id,
        "client": campaign.client_id,
        "campaign": campaign.id,
        "spec": json.dumps(spec),
        "currency": request.brand.currency,
        "actor": request.actor_id,
        "request_id": get_contextvars().get("request_id"),
        "retain_until": (replaced.retain_until if replaced else retain_until).isoformat(),
        "copied_from": replaced.job_id if replaced else None,
        "reference": recipient.reference,
        "email": recipient.email,
        "name": recipient.name,
        "phone": recipient.phone,
        "person": request.person_key,
        "brand": request.brand.id,
        "denomination": recipient.denomination_minor,
        "charge": request.charge_minor,
        "has_key": key is not None,
        "key_id": new_id(),
        "key_actor": key.actor_id if key else None,
        "key": key.key if key else None,
        "fingerprint": key.fingerprint if key else None,
        "task": task_id,
        "task_kind": RUN_SINGLE.name,
        "task_args": json.dumps({"job_id": str(request.job_id), "chunk": 1}),
        "queue": RUN_SINGLE.queue.value,
        "lane": str(campaign.client_id),
        "now": now,
        "rung_at": rung_by_accepter(now, limits),
        "v": TASK_VERSION,
        "account": payer.account_id,
        "hold": new_id(),
    }
