"""Run a job again: its recipients and settings, through the same intake as any bulk request."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models import clock
from models.jobs import JobState, Priority
from pipelines.errors import NotFound
from pipelines.jobs.create import AcceptedJob, Upload
from pipelines.jobs.kinds import PROVISIONING, InvalidJobState, OnError
from pipelines.jobs.moves import audit_move
from pipelines.jobs.quotas import QueueSaturated
from pipelines.jobs.states import MAY, Move
from pipelines.limits import Limits
from pipelines.provisioning.campaigns import brand_in_use, brands_of_client, campaign_in_use
from pipelines.provisioning.clone_rows import CloneSource, Only
from pipelines.provisioning.large import accept_large, large_job
from pipelines.provisioning.plan import BulkOptions, Dedupe
from pipelines.provisioning.refusals import (
    AmountNeeded,
    EmptyRecipients,
    NotClonable,
    NothingToClone,
    PreviewTooLarge,
    RecipientsForgotten,
)
from pipelines.provisioning.submit import (
    Recipients,
    admit,
    preview_bulk,
    submit_bulk,
)
from pipelines.queue.keys import RequestKey, first_result


@dataclass(frozen=True, slots=True)
class CloneChoices:
    """What the new job does otherwise than the original; None = as the original did."""

    campaign_id: UUID | None = None
    brand_id: UUID | None = None
    denomination_minor: int | None = None
    delivery_method: str | None = None
    on_error: OnError | None = None
    dedupe: Dedupe | None = None
    allow_repeat: bool | None = None
    priority: Priority | None = None
    scheduled_for: datetime | None = None
    plan_hash: str | None = None
    only: Only = Only.ALL


@dataclass(frozen=True, slots=True)
class _Clone:
    """The original's recipients with the options of the new job."""

    original: Row[Any]
    options: BulkOptions
    source: CloneSource
    file_name: str | None
    is_large: bool

    @property
    def recipients(self) -> Recipients:
        return Recipients(sha256=self.source.digest, copied=self.source, file_name=self.file_name)


_JOB = text("""
SELECT id, kind, state, campaign_id, currency, spec, is_single, priority, file_name, total,
    retain_until, round, agency_id, client_id
FROM jobs WHERE id = :job
""")
#: One code, one card: a code that bought nothing was freed, and may be in other hands.
_CODE_SPENT = (
    "The recipient paid for this card with a redemption code, which is good for one card only. "
    "If it gave none, send the request again with the code."
)
_CURRENCY = text("SELECT currency FROM brands WHERE id = :brand")


def preview_clone(
    session: Session,
    job_id: UUID,
    choices: CloneChoices,
    *,
    person_secret: bytes,
    limits: Limits,
    saturated: QueueSaturated | None = None,
) -> dict[str, Any]:
    """The plan of the new job, as for a file; `PreviewTooLarge` above the inline size."""
    clone = _clone(session, job_id, choices, limits)
    if clone.is_large:
        raise PreviewTooLarge(extra={"items_max": limits.clone_inline_items_max})
    try:
        return preview_bulk(
            session,
            clone.options,
            clone.recipients,
            person_secret=person_secret,
            limits=limits,
            saturated=saturated,
        )
    except EmptyRecipients:
        raise NothingToClone from None


def submit_clone(
    session: Session,
    job_id: UUID,
    choices: CloneChoices,
    *,
    actor_id: UUID,
    key: RequestKey | None,
    person_secret: bytes,
    limits: Limits,
    saturated: QueueSaturated | None = None,
) -> AcceptedJob:
    """Accept the new job in the caller's transaction, in the scope of the original's client.

    Another client's campaign is not found there: people stay with the client who brought them.
    Raises `InvalidJobState`, `NotClonable`, `RecipientsForgotten`, `NothingToClone`,
    `NoValidRows`, `AmountNeeded` and everything that `submit_bulk` raises.
    """
    if key is not None and (made := first_result(session, key)) is not None:
        return AcceptedJob(made, is_replay=True)
    clone = _clone(session, job_id, choices, limits)
    own: dict[str, Any] = {
        "actor_id": actor_id,
        "key": key,
        "limits": limits,
        "saturated": saturated,
    }
    if clone.is_large:
        accepted = _submit_large(session, clone, **own)
    else:
        try:
            accepted = submit_bulk(
                session, clone.options, clone.recipients, person_secret=person_secret, **own
            )
        except EmptyRecipients:
            raise NothingToClone from None
    detail = {"clone": str(accepted.job_id), "only": choices.only.value}
    audit_move(session, "job.cloned", clone.original, actor_id, detail)
    return accepted


def _submit_large(
    session: Session,
    clone: _Clone,
    *,
    actor_id: UUID,
    key: RequestKey | None,
    limits: Limits,
    saturated: QueueSaturated | None,
) -> AcceptedJob:
    """The recipients are read by the worker that plans the job; the request stays short."""
    options = clone.options
    admit(session, options, saturated=saturated, limits=limits)
    now = clock.now(session)
    campaign = campaign_in_use(session, options.campaign_id, begins_at=options.scheduled_for or now)
    brand = brand_in_use(brands_of_client(session, campaign.client_id), options.brand_id)
    upload = Upload(campaign.id, None, clone.file_name)
    new = large_job(options, campaign, brand, upload, actor_id)
    new = replace(
        new,
        spec=new.spec | {"clone_of": clone.source.as_spec()},
        cloned_from_id=clone.source.job_id,
    )
    return AcceptedJob(accept_large(session, new, key=key, now=now, limits=limits))


def _clone(session: Session, job_id: UUID, choices: CloneChoices, limits: Limits) -> _Clone:
    job = session.execute(_JOB, {"job": job_id}).one_or_none()
    if job is None:
        raise NotFound
    if job.kind != PROVISIONING:
        raise NotClonable
    if job.spec.get("has_redemption_code"):
        raise NotClonable(_CODE_SPENT)
    if JobState(job.state) not in MAY[Move.CLONE]:
        raise InvalidJobState(state=job.state, move=Move.CLONE)
    if job.retain_until < clock.now(session).date():
        raise RecipientsForgotten
    if job.total == 0:
        raise NothingToClone
    options = _options(job, choices)
    _check_amounts(session, job, choices)
    source = CloneSource(
        job.id,
        choices.only,
        keeps_amounts=choices.denomination_minor is None,
        keeps_brands=choices.brand_id is None,
    )
    return _Clone(job, options, source, job.file_name, job.total > limits.clone_inline_items_max)


def _options(job: Row[Any], choices: CloneChoices) -> BulkOptions:
    spec = job.spec
    # A single request is asked for as often as it is sent.
    repeats = bool(spec.get("allow_repeat", job.is_single))
    return BulkOptions(
        campaign_id=choices.campaign_id or job.campaign_id,
        brand_id=choices.brand_id or UUID(spec["brand_id"]),
        denomination_minor=choices.denomination_minor or spec["denomination_minor"],
        delivery_method=choices.delivery_method or spec["delivery_method"],
        on_error=choices.on_error or OnError(spec.get("on_error", OnError.ABORT)),
        dedupe=choices.dedupe or Dedupe(spec.get("dedupe", Dedupe.REJECT)),
        allow_repeat=repeats if choices.allow_repeat is None else choices.allow_repeat,
        force=True,
        scheduled_for=choices.scheduled_for,
        priority=choices.priority or Priority(job.priority),
        plan_hash=choices.plan_hash,
    )


def _check_amounts(session: Session, job: Row[Any], choices: CloneChoices) -> None:
    """2500 cents are not 2500 yen: amounts are not carried into another currency."""
    if choices.brand_id is None or choices.denomination_minor is not None:
        return
    found = session.execute(_CURRENCY, {"brand": choices.brand_id}).scalar_one_or_none()
    if found is not None and found != job.currency:
        raise AmountNeeded(extra={"currency": found})
