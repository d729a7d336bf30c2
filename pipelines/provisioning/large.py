"""A CSV too large for a request: kept sealed with its job, and worked in by a worker.

The worker runs the same verb as the front does, so a large file has the same verdicts, refusals
and hold as a small one; only the answer comes with the job instead of with the request.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, BinaryIO
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models import clock
from models.jobs import Priority
from pipelines.audit.record import record
from pipelines.errors import Kind, Refusal
from pipelines.jobs.chunks import defer_settlement
from pipelines.jobs.create import AcceptedJob, NewJob, Upload, create_job
from pipelines.jobs.csv_reader import open_csv
from pipelines.jobs.ending import JobError, fail_unbegun, give_up_unplanned
from pipelines.jobs.kinds import PROVISIONING, OnError, PlanTools
from pipelines.jobs.quotas import QueueSaturated
from pipelines.jobs.states import STOPPED
from pipelines.jobs.stored_input import StoredInput, Tenant, forget_input, keep_input, spooled
from pipelines.limits import Limits
from pipelines.provisioning.campaigns import (
    BrandInUse,
    CampaignInUse,
    brand_in_use,
    brands_of_client,
    campaign_in_use,
)
from pipelines.provisioning.clone_rows import CloneSource
from pipelines.provisioning.plan import BulkOptions, Dedupe
from pipelines.provisioning.recipients import DeliveryMethod, RecipientRules, file_columns
from pipelines.provisioning.submit import (
    Recipients,
    admit,
    plan_recipients,
    start_job,
    write_items,
)
from pipelines.queue.defer import defer
from pipelines.queue.keys import RequestKey, first_result, remember
from pipelines.queue.kinds import PLAN_JOB
from pipelines.queue.work import TaskInHand
from pipelines.sealing import Keyring, Purpose
from pipelines.telemetry import get_logger

log = get_logger(__name__)

_JOB = text("""
SELECT id, agency_id, client_id, spec, scheduled_for, upload_sha256, file_name
FROM jobs WHERE id = :job
""")
# Taken only when the items are written: people may pause, cancel and reschedule meanwhile.
_LOCK_JOB = text("""
SELECT state, scheduled_for, priority FROM jobs WHERE id = :job FOR NO KEY UPDATE
""")
_PLANNED = text("""
UPDATE jobs SET total = :total, currency = :currency, version = version + 1,
    spec = spec || jsonb_build_object('cheapest_minor', CAST(:cheapest AS bigint))
WHERE id = :job
""")
_INTERNAL = "The file could not be worked in; nothing was issued or charged. Submit it again."
#: What a job's error says beside its code; HTTP is only quoted here, for readers of jobs.
_STATUS = {
    Kind.PAYMENT: 402,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.FORBIDDEN: 403,
    Kind.THROTTLED: 429,
}


class _CancelAsked(Exception):
    """Somebody cancelled the job while its file was read."""


def submit_large(
    session: Session,
    options: BulkOptions,
    stream: BinaryIO,
    *,
    sha256: bytes,
    file_name: str | None,
    actor_id: UUID,
    key: RequestKey | None,
    keyring: Keyring,
    limits: Limits,
    saturated: QueueSaturated | None = None,
) -> AcceptedJob:
    """Accept the file in the caller's transaction (client scope); its rows are judged later.

    Its start and header are judged now. `stream` must be seekable. Raises what `admit` raises,
    campaign, brand and whole-file refusals, and `DuplicateUpload`.
    """
    if key is not None and (made := first_result(session, key)) is not None:
        return AcceptedJob(made, is_replay=True)
    now = clock.now(session)
    admit(session, options, saturated=saturated, limits=limits)
    campaign = campaign_in_use(session, options.campaign_id, begins_at=options.scheduled_for or now)
    brand = brand_in_use(brands_of_client(session, campaign.client_id), options.brand_id)
    rules = RecipientRules(DeliveryMethod(options.delivery_method), brand.currency)
    open_csv(stream, columns=file_columns(rules), limits=limits)
    stream.seek(0)
    upload = Upload(campaign.id, None if options.force else sha256, file_name)
    new = large_job(options, campaign, brand, upload, actor_id)
    job_id = accept_large(session, new, key=key, now=now, limits=limits)
    keep_input(
        session,
        job_id,
        stream,
        tenant=Tenant(campaign.agency_id, campaign.client_id),
        purpose=Purpose.PII,
        keyring=keyring,
        limits=limits,
    )
    return AcceptedJob(job_id)


def large_job(
    options: BulkOptions,
    campaign: CampaignInUse,
    brand: BrandInUse,
    upload: Upload,
    actor_id: UUID,
) -> NewJob:
    """A job whose recipients are judged later: all its options are in its spec."""
    return NewJob(
        kind=PROVISIONING,
        agency_id=campaign.agency_id,
        client_id=campaign.client_id,
        campaign_id=campaign.id,
        spec=_as_spec(options),
        currency=brand.currency,
        scheduled_for=options.scheduled_for,
        priority=options.priority,
        upload=upload,
        submitted_by=actor_id,
    )


def accept_large(
    session: Session, new: NewJob, *, key: RequestKey | None, now: datetime, limits: Limits
) -> UUID:
    """Write the job with its key and the task that plans it. Raises `DuplicateUpload`."""
    job_id = create_job(session, new, now=now, limits=limits)
    defer(
        session,
        PLAN_JOB,
        args={"job_id": str(job_id)},
        now=now,
        tenant_id=new.client_id,
        job_id=job_id,
        priority=new.priority,
    )
    if key is not None:
        remember(session, key, status=202, resource_kind="job", resource_id=job_id)
    record(
        session,
        "job.submitted",
        object_kind="job",
        object_id=job_id,
        actor_id=new.submitted_by,
        agency_id=new.agency_id,
        client_id=new.client_id,
        detail={"is_large": True},
    )
    return job_id


def plan_job(session: Session, task: TaskInHand, now: datetime, tools: PlanTools) -> None:
    """Judge the stored rows, then start the job at its time or end it with the refusal."""
    job = session.execute(_JOB, {"job": UUID(task.args["job_id"])}).one()
    try:
        with session.begin_nested():
            total = _fill(session, job, tools)
    except Refusal as refusal:
        _refuse(session, job, refusal, now)
        log.info("job.refused", job_id=str(job.id), code=refusal.code)
    except _CancelAsked:
        _settle(session, job, now)
    else:
        _audit_plan(session, job, total)
        log.info("job.planned", job_id=str(job.id), rows=total)
    forget_input(session, job.id)


def _fill(session: Session, job: Row[Any], tools: PlanTools) -> int:
    options = replace(_from_spec(job.spec), scheduled_for=job.scheduled_for)
    with _recipients(session, job, tools) as recipients:
        intake, plan = plan_recipients(
            session, options, recipients, tools.person_secret, tools.limits
        )
    plan = write_items(session, intake, plan, job.id, tools.limits)
    values = {"job": job.id, "total": plan.tally.rows, "currency": plan.currency}
    values["cheapest"] = plan.tally.cheapest
    asked = session.execute(_LOCK_JOB, values).one()
    if asked.state in STOPPED:
        raise _CancelAsked
    session.execute(_PLANNED, values)
    options = replace(options, scheduled_for=asked.scheduled_for, priority=Priority(asked.priority))
    start_job(session, replace(intake, options=options), plan, job.id, tools.limits)
    return plan.tally.rows


@contextmanager
def _recipients(session: Session, job: Row[Any], tools: PlanTools) -> Iterator[Recipients]:
    """The stored file, or the recipients of the job that this one was cloned from."""
    if "clone_of" in job.spec:
        source = CloneSource.of(job.spec["clone_of"])
        yield Recipients(sha256=source.digest, copied=source, file_name=job.file_name)
        return
    stored = StoredInput(session, job.id, tools.keyring, purpose=Purpose.PII)
    with spooled(stored, part_bytes=tools.limits.input_part_bytes) as stream:
        yield Recipients(
            sha256=bytes(job.upload_sha256 or b""), csv=stream, file_name=job.file_name
        )


def _refuse(session: Session, job: Row[Any], refusal: Refusal, now: datetime) -> None:
    status = _STATUS.get(refusal.kind, 422)
    errors = {"errors": [error.as_json() for error in refusal.errors]}
    error = JobError(refusal.code, refusal.detail, status, more=errors | refusal.extra)
    fail_unbegun(session, job.id, error, now)


def _settle(session: Session, job: Row[Any], now: datetime) -> None:
    """The job was cancelled meanwhile: it ends without items."""
    defer_settlement(session, job_id=job.id, tenant_id=job.client_id, now=now)


def give_up_plan(session: Session, task: TaskInHand, now: datetime) -> None:
    """A file that cannot be worked in: the job ends, nothing was held or issued."""
    give_up_unplanned(session, task, now, _INTERNAL)
    forget_input(session, UUID(task.args["job_id"]))


#: What has a column of its own, because it may be changed before the file is read.
_COLUMNS = frozenset({"scheduled_for", "priority"})


def _as_spec(options: BulkOptions) -> dict[str, Any]:
    return {name: _plain(value) for name, value in asdict(options).items() if name not in _COLUMNS}


def _plain(value: object) -> object:
    return str(value) if isinstance(value, UUID | OnError | Dedupe) else value


def _from_spec(spec: dict[str, Any]) -> BulkOptions:
    return BulkOptions(
        campaign_id=UUID(spec["campaign_id"]),
        brand_id=UUID(spec["brand_id"]),
        denomination_minor=spec["denomination_minor"],
        delivery_method=spec["delivery_method"],
        on_error=OnError(spec["on_error"]),
        dedupe=Dedupe(spec["dedupe"]),
        allow_repeat=spec["allow_repeat"],
        allow_partial=spec.get("allow_partial", False),
        force=spec["force"],
        plan_hash=spec["plan_hash"],
    )


def _audit_plan(session: Session, job: Row[Any], total: int) -> None:
    record(
        session,
        "job.planned",
        object_kind="job",
        object_id=job.id,
        actor_id=None,
        agency_id=job.agency_id,
        client_id=job.client_id,
        detail={"rows": total},
    )
