"""The rows of a request for one item: job, chunk, item, key and task, in one statement.

The same rows as a bulk submit writes, in one round trip: storefronts wait for this answer. A kind
adds what else its request writes to the same statement.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from structlog.contextvars import get_contextvars

from models.base import new_id
from pipelines.limits import Limits
from pipelines.queue.keys import RequestKey
from pipelines.queue.kinds import RUN_SINGLE, TASK_VERSION
from pipelines.queue.ring import rung_by_accepter


@dataclass(frozen=True, slots=True)
class AcceptedSingle:
    """The job of an accepted request; `task_id` is what the accepter rings itself."""

    job_id: UUID
    task_id: UUID | None
    is_replay: bool = False


@dataclass(frozen=True, slots=True)
class SingleItem:
    """The one item: for whom, of what, at which charge in minor units of the job's currency."""

    reference: str | None = None
    email: str | None = None
    name: str | None = None
    phone: str | None = None
    person_key: bytes | None = None
    user_id: UUID | None = None
    brand_id: UUID | None = None
    denomination_minor: int | None = None
    charge_minor: int = 0


@dataclass(frozen=True, slots=True)
class SingleJob:
    """A request that was accepted, by its kind; `spec` holds ids and choices, no people, no codes."""

    id: UUID
    kind: str
    agency_id: UUID
    client_id: UUID
    spec: Mapping[str, Any]
    actor_id: UUID
    key: RequestKey | None
    item: SingleItem = field(default_factory=SingleItem)
    campaign_id: UUID | None = None
    currency: str | None = None
    retain_until: date | None = None
    copied_from: UUID | None = None


#: Begin a statement with these; `single_values` has their parameters.
WITH_SINGLE_ROWS = """
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
                       name, phone, person_key, user_id, brand_id, denomination_minor, charge_minor)
    VALUES (:job, 1, 1, :agency, :client, :reference, :email, :name, :phone, :person_key, :user_id,
            :brand_id, :denomination_minor, :charge_minor)
), key AS (
    INSERT INTO idempotency_keys (id, actor_id, key, fingerprint, status, resource_kind,
                                  resource_id)
    SELECT :key_id, :key_actor, :key, :fingerprint, 202, 'job', :job WHERE :has_key
), task AS (
    INSERT INTO tasks (id, kind, args, queue, lane, job_id, tenant_id, run_after, rung_at,
                       request_id, v)
    VALUES (:task, :task_kind, CAST(:task_args AS jsonb), :queue, :lane, :job, :client, :now,
            :rung_at, :request_id, :v)
)"""


def single_values(
    job: SingleJob, task_id: UUID, *, now: datetime, limits: Limits
) -> dict[str, object]:
    """The parameters of `WITH_SINGLE_ROWS`; the accepter rings the task `task_id` itself."""
    item, key = job.item, job.key
    kept_until = job.retain_until or (now + timedelta(days=limits.retention_days)).date()
    return {
        "job": job.id,
        "kind": job.kind,
        "agency": job.agency_id,
        "client": job.client_id,
        "campaign": job.campaign_id,
        "spec": json.dumps(dict(job.spec)),
        "currency": job.currency,
        "actor": job.actor_id,
        "request_id": get_contextvars().get("request_id"),
        "retain_until": kept_until.isoformat(),
        "copied_from": job.copied_from,
        "reference": item.reference,
        "email": item.email,
        "name": item.name,
        "phone": item.phone,
        "person_key": item.person_key,
        "user_id": item.user_id,
        "brand_id": item.brand_id,
        "denomination_minor": item.denomination_minor,
        "charge_minor": item.charge_minor,
        "has_key": key is not None,
        "key_id": new_id(),
        "key_actor": key.actor_id if key else None,
        "key": key.key if key else None,
        "fingerprint": key.fingerprint if key else None,
        "task": task_id,
        "task_kind": RUN_SINGLE.name,
        "task_args": json.dumps({"job_id": str(job.id), "chunk": 1}),
        "queue": RUN_SINGLE.queue.value,
        "lane": str(job.client_id),
        "now": now,
        "rung_at": rung_by_accepter(now, limits),
        "v": TASK_VERSION,
    }
