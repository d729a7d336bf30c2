"""Accept a distribution, or show what it would do: one verb, and a preview is rolled back."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models import clock
from models.base import new_id
from models.jobs import Priority
from models.locks import Namespace, wait_for_lock
from pipelines.audit.record import record
from pipelines.books.read import book_rules
from pipelines.books.refusals import BookExhausted
from pipelines.books.rules import BookRules
from pipelines.distribution.draw import commitment_of
from pipelines.distribution.lay_out import begin, draw_coupons, set_aside, write_rows
from pipelines.distribution.plan import DistributionOptions, OnFailure, Plan, changes_since
from pipelines.distribution.refusals import AtomicImpossible, AtomicTooLarge, TooManyCoupons
from pipelines.distribution.stage import stage_plan
from pipelines.jobs.create import NewJob, create_job
from pipelines.jobs.kinds import DISTRIBUTION
from pipelines.jobs.quotas import QueueSaturated, quota_refusal
from pipelines.jobs.refusals import DuplicateJobSuspected, PreviewStale
from pipelines.jobs.schedule import check_start
from pipelines.limits import Limits
from pipelines.queue.defer import defer
from pipelines.queue.keys import Done, RequestKey, once
from pipelines.queue.kinds import PLAN_JOB

_JOB = text("""
SELECT id, agency_id, client_id, scheduled_for, state, spec FROM jobs WHERE id = :job
""")
# Jobs are numbered by their time: those since then are a part of the index.
_EARLIER = text("""
SELECT id FROM jobs WHERE client_id = :client AND id > :since AND kind = 'distribution'
  AND spec->>'digest' = :digest ORDER BY id DESC LIMIT 1
""")
_AVAILABLE = text("""
SELECT (SELECT coalesce(sum(unassigned), 0) FROM book_stock WHERE book_id = :book)
     - (SELECT coalesce(sum(coalesce(d.coupons - c.succeeded, c.pending)), 0)
        FROM draws d CROSS JOIN LATERAL (
            SELECT sum(succeeded) AS succeeded, sum(pending) AS pending
            FROM chunks WHERE job_id = d.job_id) c
        WHERE d.book_id = :book AND d.closed_at IS NULL)
""")


@dataclass(frozen=True, slots=True)
class Submission:
    """A distribution as it was asked for."""

    options: DistributionOptions
    plan_hash: str | None = None
    allow_drift: bool = False
    #: Serve those for whom there are coupons, where the book has too few.
    allow_partial: bool = False
    #: The same once more, on purpose.
    force: bool = False
    scheduled_for: datetime | None = None
    priority: Priority = Priority.NORMAL
    #: Why the installation takes no bulk work just now.
    saturated: QueueSaturated | None = None


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a submit would do now: the plan, the stock, and what stands in its way."""

    plan: Plan
    rules: BookRules
    available: int
    blockers: list[dict[str, Any]] = field(default_factory=list)


def submit_distribution(
    session: Session,
    asked: Submission,
    *,
    actor_id: UUID,
    key: RequestKey | None,
    draw_key: bytes,
    limits: Limits,
) -> Done:
    """Accept a distribution in the caller's transaction (client scope).

    Raises `NotFound`, `PoolArchived`, `EmptyPool`, `TooFewForEqual`, `AtomicTooLarge`,
    `TooManyCoupons`, `BookClosed`, `BookExpired`, `BookExhausted`, `PreviewStale`, `DuplicateJobSuspected`,
    `ScheduleRefused`, and what the client's quota refuses; the transaction must then be rolled back.
    """

    def make() -> UUID:
        if asked.saturated is not None:
            raise asked.saturated
        now = clock.now(session)
        rules = _usable_book(session, asked, now, limits)
        if not asked.force:
            _refuse_repeated(session, rules, asked.options, limits)
        job, plan = _stage(session, asked, rules, actor_id, now, draw_key, limits)
        _refuse_stale(asked, plan)
        _refuse_impossible(plan)
        quota = quota_refusal(session, job.client_id, items=plan.items, own_jobs=1, limits=limits)
        if quota is not None:
            raise quota
        _lay_out(session, job, plan, asked, now, limits)
        _tell(session, job, plan, actor_id)
        return UUID(str(job.id))

    return once(session, key, make, status=202, resource_kind="job")


def preview_distribution(
    session: Session,
    asked: Submission,
    *,
    actor_id: UUID,
    draw_key: bytes,
    limits: Limits,
) -> tuple[Foreseen, UUID]:
    """What a submit would do now, and the id under which its snapshot stands in this transaction.

    The caller rolls the transaction back when it has read what it shows.
    """
    now = clock.now(session)
    rules = book_rules(session, asked.options.book_id)
    job, plan = _stage(session, asked, rules, actor_id, now, draw_key, limits)
    available = available_in(session, rules.id)
    return Foreseen(plan, rules, available, _blockers(plan, rules, available, asked, now)), job.id


def available_in(session: Session, book_id: UUID) -> int:
    """Coupons of the book that nobody has and no open draw has spoken for."""
    return max(0, int(session.execute(_AVAILABLE, {"book": book_id}).scalar_one()))


def _usable_book(session: Session, asked: Submission, now: datetime, limits: Limits) -> BookRules:
    rules = book_rules(session, asked.options.book_id)
    check_start(asked.scheduled_for, now=now, limits=limits)
    refusal = rules.refuse_distribution(asked.scheduled_for or now, now)
    if refusal is not None:
        raise refusal
    return rules


def _refuse_repeated(
    session: Session, rules: BookRules, options: DistributionOptions, limits: Limits
) -> None:
    """EC-098: the same, with another key, a moment later."""
    digest = options.digest().hex()
    wait_for_lock(session, Namespace.DISTRIBUTION, f"{rules.client_id}:{digest}")
    milliseconds = (new_id().int >> 80) - int(limits.duplicate_job_seconds * 1000)
    values = {"client": rules.client_id, "digest": digest, "since": UUID(int=milliseconds << 80)}
    earlier = session.execute(_EARLIER, values).scalar_one_or_none()
    if earlier is not None:
        raise DuplicateJobSuspected(extra={"job_id": str(earlier)})


def _stage(
    session: Session,
    asked: Submission,
    rules: BookRules,
    actor_id: UUID,
    now: datetime,
    draw_key: bytes,
    limits: Limits,
) -> tuple[Row[Any], Plan]:
    options = asked.options
    if options.count > limits.distribution_items_max:
        raise TooManyCoupons(most=limits.distribution_items_max)
    new = NewJob(
        kind=DISTRIBUTION,
        agency_id=rules.agency_id,
        client_id=rules.client_id,
        spec=options.as_spec()
        | {"digest": options.digest().hex(), "allow_partial": asked.allow_partial},
        submitted_by=actor_id,
        scheduled_for=asked.scheduled_for,
        priority=asked.priority,
    )
    job_id = create_job(session, new, now=now, limits=limits)
    job = session.execute(_JOB, {"job": job_id}).one()
    plan = stage_plan(session, job_id, options, rules, key=draw_key)
    if options.on_failure is OnFailure.ATOMIC and plan.items > limits.atomic_items_max:
        raise AtomicTooLarge(most=limits.atomic_items_max)
    return job, plan


def _refuse_impossible(plan: Plan) -> None:
    refused = plan.items - plan.allowed()
    if plan.options.on_failure is OnFailure.ATOMIC and refused:
        raise AtomicImpossible(refused=refused)


def _refuse_stale(asked: Submission, plan: Plan) -> None:
    if asked.plan_hash is None or asked.allow_drift or asked.plan_hash == plan.plan_hash:
        return
    changed = changes_since(asked.plan_hash, plan.plan_hash)
    raise PreviewStale(extra={"plan_hash": plan.plan_hash, "changes": changed})


def _lay_out(
    session: Session, job: Row[Any], plan: Plan, asked: Submission, now: datetime, limits: Limits
) -> None:
    """Small ones are drawn at once; of larger ones a worker does what takes long."""
    _refuse_exhausted(session, plan, asked)
    if plan.items <= limits.distribution_inline_items_max:
        write_rows(session, job, plan, limits)
    if plan.items > limits.distribution_inline_draw_max:
        args = {"job_id": str(job.id)}
        defer(session, PLAN_JOB, args=args, now=now, tenant_id=job.client_id, job_id=job.id)
        return
    set_aside(session, job.id, plan.options.book_id, allow_partial=asked.allow_partial)
    draw_coupons(session, job)
    begin(session, job, now, limits)


def _refuse_exhausted(session: Session, plan: Plan, asked: Submission) -> None:
    available, required = available_in(session, plan.options.book_id), plan.allowed()
    if available < required and not asked.allow_partial:
        raise BookExhausted(extra={"available": available, "required": required})


def _blockers(
    plan: Plan, rules: BookRules, available: int, asked: Submission, now: datetime
) -> list[dict[str, Any]]:
    """What a submit would be refused for."""
    blockers = []
    if (ended := rules.refuse_distribution(asked.scheduled_for or now, now)) is not None:
        blockers.append({"code": ended.code, "detail": ended.detail})
    allowed = plan.allowed()
    refused = plan.items - allowed
    if plan.options.on_failure is OnFailure.ATOMIC and refused:
        impossible = AtomicImpossible(refused=refused)
        blockers.append({"code": impossible.code, "detail": impossible.detail})
    if available < allowed and not asked.allow_partial:
        blockers.append(
            {
                "code": BookExhausted.code,
                "detail": f"The book has {available} coupons for {allowed} recipients' rows.",
            }
        )
    return blockers


def _tell(session: Session, job: Row[Any], plan: Plan, actor_id: UUID) -> None:
    """The digest of the seed is told with the acceptance, in the chained audit log."""
    record(
        session,
        "job.submitted",
        object_kind="job",
        object_id=job.id,
        actor_id=actor_id,
        agency_id=job.agency_id,
        client_id=job.client_id,
        detail={
            "book_id": str(plan.options.book_id),
            "pool_id": str(plan.options.pool_id),
            "count": plan.options.count,
            "seed_sha256": commitment_of(plan.seed),
            "plan_hash": plan.plan_hash,
        },
    )
