"""Accept a provisioning request: items, chunks, hold, task and key in one commit."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models import clock
from pipelines.audit.record import record
from pipelines.credit.hold import place_hold, stop_of
from pipelines.credit.refusals import NoCreditAccount
from pipelines.jobs.chunks import defer_settlement
from pipelines.jobs.create import AcceptedJob, NewJob, Upload, create_job
from pipelines.jobs.csv_reader import open_csv
from pipelines.jobs.kinds import PROVISIONING
from pipelines.jobs.layout import close_empty_chunks, lay_chunks, release_first_chunks
from pipelines.jobs.quotas import QueueSaturated, admit_job, quota_refusal
from pipelines.jobs.refusals import PreviewStale
from pipelines.jobs.schedule import check_start
from pipelines.jobs.settle import pause_for_credit
from pipelines.limits import Limits
from pipelines.provisioning import staging
from pipelines.provisioning.campaigns import (
    BrandInUse,
    CampaignInUse,
    brand_in_use,
    brands_of_client,
    campaign_in_use,
    client_of_campaign,
)
from pipelines.provisioning.clone_rows import CloneSource, copied_rows
from pipelines.provisioning.conditions import end_beyond
from pipelines.provisioning.funding import fund
from pipelines.provisioning.plan import (
    BulkOptions,
    IntakePlan,
    judge,
    plan_of,
    preview_view,
    refused_under,
)
from pipelines.provisioning.recipients import DeliveryMethod, RecipientRules, file_columns
from pipelines.provisioning.refusals import EmptyRecipients, NoValidRows, RowsRefused
from pipelines.provisioning.sources import estimate
from pipelines.queue.keys import RequestKey, first_result, remember


@dataclass(frozen=True, slots=True)
class Recipients:
    """The recipients as given: a CSV stream, a list or another job's, with their digest."""

    sha256: bytes
    csv: BinaryIO | None = None
    listed: Iterable[Mapping[str, str | int | None]] = ()
    copied: CloneSource | None = None
    file_name: str | None = None


@dataclass(frozen=True, slots=True)
class Intake:
    """Request-wide facts that the steps of an intake share."""

    campaign: CampaignInUse
    brand: BrandInUse
    options: BulkOptions
    now: datetime
    is_clone: bool
    content_sha256: bytes


_ITEMS = text("""
INSERT INTO items (job_id, position, chunk_number, agency_id, client_id, state, code, detail,
                   field, reference, email, name, phone, person_key, brand_id,
                   denomination_minor, charge_minor)
SELECT :job, position, (position - 1) / :size + 1, :agency, :client,
       CASE WHEN code IS NULL THEN 'pending'
            WHEN code IN ('duplicate_recipient', 'already_served') THEN 'skipped'
            ELSE 'failed' END,
       code, detail, field, reference, email, name, phone, person_key, brand_id,
       nullif(denomination_minor, 0),
       CASE WHEN code IS NULL THEN charge_minor ELSE 0 END
FROM intake ORDER BY position
""")
_CHEAPEST = text("""
UPDATE jobs SET spec = spec || jsonb_build_object('cheapest_minor', CAST(:cheapest AS bigint))
WHERE id = :job
""")
_UNFUNDED = text("""
UPDATE jobs SET funded_to = 0 WHERE id = :job
RETURNING id, round, agency_id, client_id, campaign_id, currency, funded_to, started_at,
    scheduled_for
""")


def preview_bulk(
    session: Session,
    options: BulkOptions,
    recipients: Recipients,
    *,
    person_secret: bytes,
    limits: Limits,
    saturated: QueueSaturated | None = None,
) -> dict[str, Any]:
    """The plan of api.md; only a temporary table is written, and it goes with the transaction."""
    check_start(options.scheduled_for, now=clock.now(session), limits=limits)
    intake, plan = plan_recipients(session, options, recipients, person_secret, limits)
    client_id, currency = intake.campaign.client_id, plan.currency
    groups = staging.groups(session)
    expected = estimate(session, groups, client_id=client_id, currency=currency, now=intake.now)
    quota = quota_refusal(session, client_id, items=plan.tally.valid, limits=limits)
    # What waits for credit may wait for this too.
    is_held_for = plan.payer is not None and plan.tally.charge and not options.allow_partial
    stopped = stop_of(session, plan.payer) if plan.payer is not None and is_held_for else None
    refusals = [refusal for refusal in (quota, saturated, stopped) if refusal is not None]
    return preview_view(plan, intake.options, expected, refusals)


def submit_bulk(
    session: Session,
    options: BulkOptions,
    recipients: Recipients,
    *,
    actor_id: UUID,
    key: RequestKey | None,
    person_secret: bytes,
    limits: Limits,
    saturated: QueueSaturated | None = None,
) -> AcceptedJob:
    """Accept a bulk request in the caller's transaction, which must be in the client's scope.

    Raises `saturated`, `TenantQuotaExceeded`, `RowsRefused`, `PreviewStale`, `DuplicateUpload`, `InsufficientCredit`,
    `ScheduleRefused` and the whole-file refusals of the CSV reader; nothing is written then.
    """
    if key is not None and (made := first_result(session, key)) is not None:
        return AcceptedJob(made, is_replay=True)
    admit(session, options, saturated=saturated, limits=limits)
    intake, plan = plan_recipients(session, options, recipients, person_secret, limits)
    job_id = _write_job(session, intake, plan, recipients, actor_id=actor_id, limits=limits)
    if key is not None:
        remember(session, key, status=202, resource_kind="job", resource_id=job_id)
    plan = write_items(session, intake, plan, job_id, limits)
    _audit(session, intake, plan, job_id, actor_id)
    start_job(session, intake, plan, job_id, limits)
    return AcceptedJob(job_id)


def admit(
    session: Session, options: BulkOptions, *, saturated: QueueSaturated | None, limits: Limits
) -> None:
    """What speaks against a further job whatever its rows are: `saturated`, `TenantQuotaExceeded`."""
    check_start(options.scheduled_for, now=clock.now(session), limits=limits)
    if saturated is not None:
        raise saturated
    admit_job(session, client_of_campaign(session, options.campaign_id), limits=limits)


def write_items(
    session: Session, intake: Intake, plan: IntakePlan, job_id: UUID, limits: Limits
) -> IntakePlan:
    """Write the staged items and their chunks into the job, which is there; the plan as written.

    Places of a limited campaign may have gone to others since it was made.
    Raises `RowsRefused`, `NoValidRows`, `PreviewStale`, `TenantQuotaExceeded`.
    """
    _refuse_plan(intake, plan)
    agency_id, client_id = intake.campaign.agency_id, intake.campaign.client_id
    quota = quota_refusal(session, client_id, items=plan.tally.valid, own_jobs=1, limits=limits)
    if quota is not None:
        raise quota
    lay_chunks(
        session,
        job_id,
        agency_id=agency_id,
        client_id=client_id,
        last_position=plan.tally.last_position,
        limits=limits,
    )
    values = {"job": job_id, "agency": agency_id, "client": client_id}
    session.execute(_ITEMS, values | {"size": limits.chunk_items_max})
    if end_beyond(session, intake.campaign.id, job_id, written=plan.tally.valid):
        plan = plan_of(
            session,
            intake.options,
            currency=plan.currency,
            content_sha256=intake.content_sha256,
            limits=limits,
        )
        _refuse_plan(intake, plan)
        session.execute(_CHEAPEST, {"job": job_id, "cheapest": plan.tally.cheapest})
    close_empty_chunks(session, job_id)
    return plan


def _refuse_plan(intake: Intake, plan: IntakePlan) -> None:
    options = intake.options
    refused = refused_under(options, plan.tally)
    if refused:
        raise RowsRefused(plan.errors, refused=refused, rows=plan.tally.rows)
    if intake.is_clone and plan.tally.valid == 0:
        raise NoValidRows(errors=plan.errors)
    if options.plan_hash is not None and options.plan_hash != plan.plan_hash:
        raise PreviewStale(extra={"plan_hash": plan.plan_hash})


def start_job(
    session: Session, intake: Intake, plan: IntakePlan, job_id: UUID, limits: Limits
) -> None:
    """Release the first chunks and, last of all, hold the charge of the whole job.

    Raises `InsufficientCredit`, `NoCreditAccount`.
    """
    client_id, priority = intake.campaign.client_id, intake.options.priority
    if plan.tally.valid == 0:
        defer_settlement(
            session, job_id=job_id, tenant_id=client_id, now=intake.now, priority=priority
        )
        return
    if plan.payer is None:
        raise NoCreditAccount
    if intake.options.allow_partial:
        start_partly(session, job_id, now=intake.now, limits=limits)
        return
    release_first_chunks(
        session,
        job_id=job_id,
        tenant_id=client_id,
        now=intake.now,
        limits=limits,
        run_after=intake.options.scheduled_for,
    )
    place_hold(session, plan.payer, job_id=job_id, round_number=1, amount=plan.tally.charge)


def start_partly(session: Session, job_id: UUID, *, now: datetime, limits: Limits) -> None:
    """Start what the credit covers; a job of which nothing is covered waits, paused."""
    job = session.execute(_UNFUNDED, {"job": job_id}).one()
    if not fund(session, job, now, limits):
        pause_for_credit(session, job_id, now)


def plan_recipients(
    session: Session,
    options: BulkOptions,
    recipients: Recipients,
    person_secret: bytes,
    limits: Limits,
) -> tuple[Intake, IntakePlan]:
    """Read the recipients into the staging table and judge them; nothing lasting is written."""
    now = clock.now(session)
    campaign = campaign_in_use(session, options.campaign_id, begins_at=options.scheduled_for or now)
    brands = brands_of_client(session, campaign.client_id)
    brand = brand_in_use(brands, options.brand_id)
    # Of two brands with one name, the one in the job's currency is meant: it comes last.
    ordered = sorted(brands.values(), key=lambda b: b.currency == brand.currency)
    by_name = {b.name.casefold(): b for b in ordered}
    rules = RecipientRules(
        delivery_method=DeliveryMethod(options.delivery_method),
        currency=brand.currency,
        default_denomination_minor=options.denomination_minor,
        default_brand=brand.name,
    )
    rows: Callable[..., Iterable[staging.StagedRow]]
    if recipients.copied is not None:
        source: Any = copied_rows(session, recipients.copied)
        rows = staging.rows_from_job
        by_name |= {str(b.id): b for b in ordered}
    elif recipients.csv is not None:
        source = open_csv(recipients.csv, columns=file_columns(rules), limits=limits)
        rows = staging.rows_from_csv
    else:
        source, rows = recipients.listed, staging.rows_from_list
    staged = rows(source, rules=rules, brands=by_name, currency=brand.currency)
    staging.stage(session, staged, person_secret=person_secret)
    plan = judge(
        session,
        options,
        campaign=campaign,
        currency=brand.currency,
        content_sha256=recipients.sha256,
        limits=limits,
    )
    if plan.tally.rows == 0:
        raise EmptyRecipients
    is_clone = recipients.copied is not None
    return Intake(campaign, brand, options, now, is_clone, recipients.sha256), plan


def _write_job(
    session: Session,
    intake: Intake,
    plan: IntakePlan,
    recipients: Recipients,
    *,
    actor_id: UUID,
    limits: Limits,
) -> UUID:
    options, campaign = intake.options, intake.campaign
    is_checked = recipients.csv is not None and not options.force
    new = NewJob(
        kind=PROVISIONING,
        agency_id=campaign.agency_id,
        client_id=campaign.client_id,
        campaign_id=campaign.id,
        spec={
            "brand_id": str(options.brand_id),
            "denomination_minor": options.denomination_minor,
            "delivery_method": options.delivery_method,
            "on_error": options.on_error.value,
            "dedupe": options.dedupe.value,
            "allow_repeat": options.allow_repeat,
            "cheapest_minor": plan.tally.cheapest,
        },
        total=plan.tally.rows,
        currency=plan.currency,
        scheduled_for=options.scheduled_for,
        priority=options.priority,
        upload=Upload(campaign.id, recipients.sha256 if is_checked else None, recipients.file_name),
        cloned_from_id=recipients.copied.job_id if recipients.copied else None,
        submitted_by=actor_id,
    )
    return create_job(session, new, now=intake.now, limits=limits)


def _audit(
    session: Session, intake: Intake, plan: IntakePlan, job_id: UUID, actor_id: UUID
) -> None:
    record(
        session,
        "job.submitted",
        object_kind="job",
        object_id=job_id,
        actor_id=actor_id,
        agency_id=intake.campaign.agency_id,
        client_id=intake.campaign.client_id,
        detail={"rows": plan.tally.rows, "charge_minor": plan.tally.charge},
    )
