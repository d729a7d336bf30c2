"""The list of jobs, the page of one job, its live part and its files."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, render_template, request, url_for
from sqlalchemy import Row
from sqlalchemy.orm import Session

from models import clock
from models.jobs import ItemState, JobState
from pipelines.access.permissions import Permission, may
from pipelines.access.users import normalised
from pipelines.deliveries.read import delivery_figures
from pipelines.jobs.addresses import Email, person_key, read_email
from pipelines.jobs.find_items import find_items
from pipelines.jobs.kinds import UNCHARGED
from pipelines.jobs.labels import JobLabels, count_retryable, labels_of
from pipelines.jobs.read import (
    job_failures,
    job_items,
    job_row,
    job_view,
    jobs_of_book,
    list_jobs,
)
from pipelines.jobs.results import audit_download, results_csv
from pipelines.limits import DEFAULTS
from pipelines.tenants.campaign_views import campaign_seen
from web.console.csrf import form_token
from web.console.delivery_words import delivery_counts, delivery_remedy
from web.console.failure_words import FailureGroup, failure_groups
from web.console.frame import page
from web.console.item_lines import item_line
from web.console.job_results import ResultWords, result_words
from web.console.job_words import (
    ITEM_STATES,
    JOB_STATES,
    About,
    JobWords,
    item_words,
    job_words,
)
from web.console.timeline_words import timeline_lines
from web.console.typed import id_in
from web.console.visit import looking, visitor
from web.front import front
from web.guards import permitted, principal
from web.timelines import look_at_timeline

PAGE_SIZE = 50
FIND_CHARACTERS_MAX = 320
#: Every state, and what the overview counts.
LIST_FILTERS = (
    JobState.QUEUED,
    JobState.RUNNING,
    JobState.PAUSED,
    JobState.CANCELLING,
    JobState.SUCCEEDED,
    JobState.PARTIALLY_SUCCEEDED,
    JobState.FAILED,
    JobState.CANCELLED,
)
#: A filter beside the states: jobs that ended with failures, of any kind, within a day.
LATELY_FAILED = "failed_lately"
LATELY = timedelta(hours=24)
ITEM_FILTERS = (
    ItemState.SUCCEEDED,
    ItemState.FAILED,
    ItemState.SKIPPED,
    ItemState.PENDING,
    ItemState.CANCELLED,
)
#: Rows that can be corrected, or sent again as they are.
DOWNLOADS = (ItemState.FAILED, ItemState.CANCELLED)


@dataclass(frozen=True, slots=True)
class JobOnPage:
    """A job as its page says it, with what went wrong and what came of it."""

    words: JobWords
    groups: list[FailureGroup]
    result: ResultWords | None


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/jobs", "jobs", show_list)
    console.add_url_rule("/jobs/<uuid:job_id>", "job", show_job)
    console.add_url_rule("/jobs/<uuid:job_id>/live", "job_live", show_live)
    console.add_url_rule("/jobs/<uuid:job_id>/results.csv", "job_results", download)


@permitted(Permission.JOBS_READ)
def show_list() -> Response:
    """Jobs in the visitor's scope, newest first; an unknown filter shows all."""
    asked = request.args.get("state")
    chosen = asked if asked in JOB_STATES or asked == LATELY_FAILED else None
    campaign_id = id_in(request.args.get("campaign"))
    with looking() as session:
        only_of = campaign_seen(session, campaign_id) if campaign_id else None
        lately = clock.now(session) - LATELY
        rows = list_jobs(
            session,
            kind=None,
            state=chosen if chosen in JOB_STATES else None,
            failed_since=lately if chosen == LATELY_FAILED else None,
            campaign_id=campaign_id,
            before=id_in(request.args.get("before")),
            limit=PAGE_SIZE + 1,
        )
        shown = rows[:PAGE_SIZE]
        words = _worded(session, shown)
    older = None
    if len(rows) > PAGE_SIZE:
        older = url_for("console.jobs", state=chosen, campaign=campaign_id, before=shown[-1].id)
    return page(
        "jobs.html",
        title="Jobs",
        section="jobs",
        jobs=[
            (word, row.created_at, int(row.total)) for word, row in zip(words, shown, strict=True)
        ],
        filters=[
            *((s.value, JOB_STATES[s].word) for s in LIST_FILTERS),
            (LATELY_FAILED, "With failures, last 24 h"),
        ],
        chosen=chosen,
        only_of=only_of,
        older=older,
        may_submit=may(principal().role, Permission.PROVISION),
    )


@permitted(Permission.JOBS_READ)
def show_job(job_id: UUID) -> Response:
    """The whole page: the live part, and the items table below it."""
    state = request.args.get("state")
    state = state if state in ITEM_STATES else None
    code = request.args.get("code") or None
    after = min(max(request.args.get("after", 0, type=int), 0), DEFAULTS.csv_rows_max)
    words = request.args.get("find", "").strip()[:FIND_CHARACTERS_MAX]
    with looking() as session:
        on_page = _job(session, job_id)
        figures = delivery_figures(session, job_id)
        if words:
            items = find_items(
                session, job_id, words, person=_person(words), address=normalised(words)
            )
        else:
            items = job_items(
                session, job_id, state=state, code=code, after=after, limit=PAGE_SIZE + 1
            )
    job, seen = on_page.words, look_at_timeline(principal(), job_id)
    return page(
        "job.html",
        title=job.title,
        section="jobs",
        crumbs=[("Jobs", url_for("console.jobs")), (job.name, None)],
        job=job,
        groups=on_page.groups,
        result=on_page.result,
        deliveries=delivery_counts(figures),
        delivery_remedy=delivery_remedy(figures),
        items=[item_line(job.kind, item) for item in items[:PAGE_SIZE]],
        more=items[PAGE_SIZE - 1].position if len(items) > PAGE_SIZE else None,
        filters=[(s.value, item_words(job.kind, s).word) for s in ITEM_FILTERS],
        chosen=state,
        code=code,
        after=after,
        find=words,
        timeline=timeline_lines(seen),
        is_cut=seen.timeline.is_cut,
        may_audit=may(principal().role, Permission.AUDIT_READ),
        may_control=may(principal().role, Permission.JOBS_CONTROL),
        may_submit=may(principal().role, Permission.PROVISION),
        may_see_discounts=may(principal().role, Permission.DISCOUNTS_READ),
    )


@permitted(Permission.JOBS_READ)
def show_live(job_id: UUID) -> Response:
    """The part of the page that moves, for a poller that knows what it has."""
    with looking() as session:
        on_page = _job(session, job_id)
        figures = delivery_figures(session, job_id)
    html = render_template(
        "console/job_live.html",
        job=on_page.words,
        groups=on_page.groups,
        result=on_page.result,
        deliveries=delivery_counts(figures),
        delivery_remedy=delivery_remedy(figures),
        csrf=form_token(visitor()),
        may_control=may(principal().role, Permission.JOBS_CONTROL),
        may_submit=may(principal().role, Permission.PROVISION),
        may_see_discounts=may(principal().role, Permission.DISCOUNTS_READ),
    )
    response = Response(html)
    response.headers["Cache-Control"] = "no-store"
    response.set_etag(hashlib.sha256(html.encode()).hexdigest()[:32])
    response.make_conditional(request)
    return response


@permitted(Permission.JOBS_READ)
def download(job_id: UUID) -> Response:
    """The results as CSV; `?only=failed` or `cancelled` gives the rows to send again."""
    only = next((s.value for s in DOWNLOADS if s == request.args.get("only")), None)
    caller = principal()
    with looking() as session:
        row = job_row(session, job_id)
        audit_download(session, row, only=only, actor_id=caller.actor_id)
    house = front().house
    blocks = results_csv(house.sessions, caller.scope, row, state=only, kinds=house.job_kinds)
    response = Response(blocks, mimetype="text/csv")
    name = f"{only or 'results'}-{str(job_id)[-12:]}.csv"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Cache-Control"] = "no-store"
    return response


def _job(session: Session, job_id: UUID) -> JobOnPage:
    row = job_row(session, job_id)
    retryable = count_retryable(session, job_id, retries_all=row.kind in UNCHARGED)
    words = _words(session, row, labels_of(session, [row]), retryable=retryable)
    groups = failure_groups(row.kind, job_failures(session, job_id))
    return JobOnPage(words, groups, result_words(session, row))


def _words(session: Session, row: Row[Any], labels: JobLabels, *, retryable: int = 0) -> JobWords:
    return job_words(
        job_view(row, now=clock.now(session), limits=front().house.limits),
        version=row.version,
        campaign=labels.campaign(row),
        about=About(
            (labels.brand(row), labels.book(row), labels.pool(row), row.file_name or ""),
            book_id=row.spec.get("book_id") if labels.book(row) else None,
            pool_id=row.spec.get("pool_id") if labels.pool(row) else None,
        ),
        retryable=retryable,
        has_code=bool(row.spec.get("has_redemption_code")),
    )


def _worded(session: Session, rows: list[Any]) -> list[JobWords]:
    labels = labels_of(session, rows)
    return [_words(session, row, labels) for row in rows]


def worded_jobs(session: Session, *, limit: int, campaign_id: UUID | None = None) -> list[JobWords]:
    """The newest jobs in words, for the overview and the page of a campaign."""
    rows = list_jobs(
        session, kind=None, state=None, campaign_id=campaign_id, before=None, limit=limit
    )
    return _worded(session, rows)


def worded_jobs_of_book(
    session: Session, client_id: UUID, book_id: UUID, *, limit: int
) -> list[JobWords]:
    """The newest jobs of many codes of a book, in words."""
    return _worded(session, jobs_of_book(session, client_id, book_id, limit=limit))


def _person(words: str) -> bytes | None:
    """The key of the person whose address this is."""
    email = read_email(words)
    if not isinstance(email, Email):
        return None
    return person_key(email.address, front().house.person_secret)
