"""Jobs over HTTP: watched, read item by item, paused, resumed, cancelled, retried, rescheduled."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, ValidationError, fields, validates_schema
from sqlalchemy import Row
from sqlalchemy.orm import Session

from models import clock
from models.database import scoped_transaction
from models.jobs import ItemState, JobState, Priority
from pipelines.access.permissions import Permission
from pipelines.access.rate_policies import Policy
from pipelines.audit.record import REASON_CHARACTERS_MAX
from pipelines.jobs import control
from pipelines.jobs.kinds import KINDS
from pipelines.jobs.read import job_failures, job_items, job_row, list_jobs
from pipelines.jobs.results import audit_download, results_csv
from pipelines.jobs.schedule import reschedule, set_priority
from pipelines.provisioning.give_up_margin import give_up_waiting
from pipelines.queue.keys import once
from web.admission import canonical, mark_replay, offered_key
from web.api.job_schemas import FailureGroup, Job, JobItemPage, JobPage
from web.api.routes import (
    MAY_HAVE_KEY,
    Routes,
    answers,
    answers_csv,
    asks,
    documented,
    may_read,
    reads,
)
from web.fields import PRIORITIES, Identity, PageQuery, Stamp, Text, one_of
from web.front import front
from web.guards import permitted, principal
from web.jobs_shown import job_answer, job_json, load_job
from web.pages import id_cursor, listed, number_cursor
from web.rate_limits import limited

routes = Routes("jobs", "Accepted work, recipient by recipient.")


class JobsQuery(PageQuery):
    kind = fields.String(load_default=None, validate=one_of(*KINDS))
    state = fields.String(load_default=None, validate=one_of(*JobState))
    campaign_id = Identity(load_default=None)


class ItemsQuery(PageQuery):
    state = fields.String(load_default=None, validate=one_of(*ItemState))
    code = Text(longest=64, load_default=None)


class JobChange(Schema):
    """What is left out stays as it is; a `scheduled_for` of null starts the job now."""

    priority = fields.String(validate=one_of(*PRIORITIES))
    scheduled_for = Stamp(allow_none=True)

    @validates_schema
    def _says_something(self, data: dict[str, Any], **_: Any) -> None:
        if not data:
            raise ValidationError("required|Give `priority`, `scheduled_for` or both.")


class JobMove(Schema):
    """Nothing more is said about the move."""


class JobGiveUp(Schema):
    reason = Text(required=True, longest=REASON_CHARACTERS_MAX)


class JobStop(JobMove):
    reason = Text(
        longest=REASON_CHARACTERS_MAX,
        metadata={"description": "Your words for the audit log and the job's timeline."},
    )


#: A schema has an attribute `only` of its own, so the parameter's field is not written as one.
ResultsQuery = Schema.from_dict(
    {"only": fields.String(load_default=None, validate=one_of(*ItemState))}, name="ResultsQuery"
)


@routes.get("/jobs")
@permitted(Permission.JOBS_READ)
@asks(JobsQuery)
@answers(200, JobPage)
def list_all_jobs(query: dict[str, Any]) -> Response:
    """List jobs, newest first; `result` of single requests is in the job itself."""
    caller, limit, before = principal(), query["limit"], id_cursor(query)
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        rows = list_jobs(
            session,
            kind=query["kind"],
            state=query["state"],
            campaign_id=query["campaign_id"],
            before=before,
            limit=limit + 1,
        )
        shown = partial(job_json, session, caller=caller, deep=False)
        return listed(rows, limit=limit, view=shown, place=lambda row: row.id)


@routes.get("/jobs/<uuid:job_id>")
@permitted(Permission.OWN_JOBS)
@answers(200, Job)
def get_job(job_id: UUID) -> Response:
    """One job, or a redemption that you asked for yourself; poll it with If-None-Match."""
    return job_answer(load_job(principal(), job_id))


@routes.get("/jobs/<uuid:job_id>/items")
@permitted(Permission.JOBS_READ)
@asks(ItemsQuery)
@answers(200, JobItemPage)
def list_job_items(query: dict[str, Any], job_id: UUID) -> Response:
    """The items of a job in file order; `position` is the row, counted without the header."""
    limit, after = query["limit"], number_cursor(query) or 0
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        job_row(session, job_id)
        rows = job_items(
            session,
            job_id,
            state=query["state"],
            code=query["code"],
            after=after,
            limit=limit + 1,
        )
    return listed(rows, limit=limit, view=_item, place=lambda row: row.position)


@routes.get("/jobs/<uuid:job_id>/failures")
@permitted(Permission.JOBS_READ)
@answers(200, FailureGroup(many=True))
def list_job_failures(job_id: UUID) -> Response:
    """What did not succeed, grouped by code, most frequent first."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        job_row(session, job_id)
        rows = job_failures(session, job_id)
    return jsonify([_failure(row) for row in rows])


@routes.get("/jobs/<uuid:job_id>/results.csv")
@permitted(Permission.JOBS_READ)
@asks(ResultsQuery)
@answers_csv()
def download_job_results(query: dict[str, Any], job_id: UUID) -> Response:
    """The input with what became of each row; the file can be uploaded again as it is."""
    house, caller = front().house, principal()
    scope = caller.scope
    with scoped_transaction(house.sessions, scope) as session:
        job = job_row(session, job_id)
        audit_download(session, job, only=query["only"], actor_id=caller.actor_id)
    blocks = results_csv(house.sessions, scope, job, state=query["only"], kinds=house.job_kinds)
    response = Response(blocks, mimetype="text/csv")
    response.headers.set("Content-Disposition", "attachment", filename=f"results-{job_id}.csv")
    return response


@routes.patch("/jobs/<uuid:job_id>")
@permitted(Permission.JOBS_CONTROL)
@reads(JobChange)
@documented(parameters=[MAY_HAVE_KEY])
@answers(200, Job)
def change_job(body: dict[str, Any], job_id: UUID) -> Response:
    """Change the priority of a job that has not ended, or the start of one that has not started."""
    move = partial(_change, body=body)
    return _controlled(job_id, move, body)


@routes.post("/jobs/<uuid:job_id>/pause")
@permitted(Permission.JOBS_CONTROL)
@may_read(JobStop)
@documented(parameters=[MAY_HAVE_KEY])
@answers(200, Job)
def pause_job(body: dict[str, Any], job_id: UUID) -> Response:
    """Start no more work for a job; orders on their way are still driven home."""
    return _controlled(job_id, partial(control.pause_job, **body), body)


@routes.post("/jobs/<uuid:job_id>/resume")
@permitted(Permission.JOBS_CONTROL)
@may_read(JobMove)
@documented(parameters=[MAY_HAVE_KEY])
@answers(200, Job)
def resume_job(body: dict[str, Any], job_id: UUID) -> Response:
    """Take a paused job up where it stood."""
    return _controlled(job_id, control.resume_job, body)


@routes.post("/jobs/<uuid:job_id>/cancel")
@permitted(Permission.JOBS_CONTROL)
@may_read(JobStop)
@documented(parameters=[MAY_HAVE_KEY])
@answers(200, Job)
def cancel_job(body: dict[str, Any], job_id: UUID) -> Response:
    """End a job: what is not begun is cancelled and its credit freed."""
    return _controlled(job_id, partial(control.cancel_job, **body), body)


@routes.post("/jobs/<uuid:job_id>/retry")
@permitted(Permission.JOBS_CONTROL)
@limited(Policy.SUBMIT)
@may_read(JobMove)
@documented(parameters=[MAY_HAVE_KEY])
@answers(200, Job)
def retry_job(body: dict[str, Any], job_id: UUID) -> Response:
    """Try the failed items again under a new hold, and those that wait for their margin."""
    house = front().house
    move = partial(control.retry_job, kinds=house.job_kinds, limits=house.limits)
    return _controlled(job_id, move, body)


@routes.post("/jobs/<uuid:job_id>/give-up")
@permitted(Permission.JOBS_CONTROL)
@reads(JobGiveUp)
@documented(parameters=[MAY_HAVE_KEY])
@answers(200, Job)
def give_up_on_job(body: dict[str, Any], job_id: UUID) -> Response:
    """End the items that wait because every card costs too much; their credit goes back."""
    return _controlled(job_id, partial(give_up_waiting, **body), body)


def _change(session: Session, job_id: UUID, *, body: dict[str, Any], **who: Any) -> None:
    house = front().house
    if "priority" in body:
        set_priority(session, job_id, Priority[body["priority"].upper()], **who)
    if "scheduled_for" in body:
        own: dict[str, Any] = {"kinds": house.job_kinds, "limits": house.limits}
        reschedule(session, job_id, body["scheduled_for"], **own, **who)


def _controlled(job_id: UUID, move: Callable[..., object], body: dict[str, Any]) -> Response:
    """Move the job; a repeat with the same key answers the job as it is now."""
    caller = principal()
    key = offered_key(caller, canonical(body))

    def moved() -> UUID:
        move(session, job_id, actor_id=caller.actor_id, now=clock.now(session))
        return job_id

    with scoped_transaction(front().house.sessions, caller.scope) as session:
        done = once(session, key, moved, status=200, resource_kind="job")
    return mark_replay(job_answer(load_job(caller, job_id)), is_replay=done.is_replay)


def _item(row: Row[Any]) -> dict[str, Any]:
    has_verdict = row.code is not None
    return {
        "position": row.position,
        "state": row.state,
        "recipient": _masked(row.email, row.phone),
        "source": row.source,
        "code": row.code,
        "field": row.field,
        "error": {"code": row.code, "detail": row.detail} if has_verdict else None,
        "attempts": row.attempts,
        "delivery_state": row.delivery_state,
    }


def _failure(row: Row[Any]) -> dict[str, Any]:
    return {
        "code": row.code,
        "state": row.state,
        "count": row.items,
        "retryable": row.retryable,
        "example": row.example,
        "first_position": row.first_position,
    }


def _masked(email: str | None, phone: str | None) -> str | None:
    """Enough to recognise, not enough to write to."""
    if email:
        local, _at, domain = email.partition("@")
        return f"{local[:1]}***@{domain}"
    return f"***{phone[-4:]}" if phone else None
