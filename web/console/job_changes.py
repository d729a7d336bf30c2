"""Change when a job starts and before which others."""

from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy.orm import Session

from models import clock
from models.database import scoped_transaction
from models.jobs import JobState
from pipelines.access.permissions import Permission
from pipelines.books.refusals import BookClosed, BookExpired
from pipelines.jobs.labels import labels_of
from pipelines.jobs.read import job_row
from pipelines.jobs.schedule import ScheduleRefused, reschedule, set_priority
from pipelines.jobs.states import MAY, Move
from pipelines.provisioning.refusals import ConditionUnmet
from web.console.frame import go, page
from web.console.kind_words import job_name
from web.console.starts import (
    PRIORITIES,
    StartForm,
    priority_of,
    start_of,
    time_of,
    typed_start,
)
from web.console.visit import looking
from web.front import front
from web.guards import permitted, principal


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/jobs/<uuid:job_id>/change", "job_change", ask, methods=["GET"])
    console.add_url_rule("/jobs/<uuid:job_id>/change", "job_change_now", change, methods=["POST"])


@permitted(Permission.JOBS_CONTROL)
def ask(job_id: UUID) -> Response:
    return _form(job_id)


@permitted(Permission.JOBS_CONTROL)
def change(job_id: UUID) -> Response:
    """Both fields at once; what was not touched stays as it is."""
    typed = typed_start(request.form)
    try:
        with scoped_transaction(front().house.sessions, principal().scope) as session:
            _change(session, job_id, typed)
    except (ScheduleRefused, ConditionUnmet, BookClosed, BookExpired) as refusal:
        return _form(job_id, typed, {"starts_at": refusal.detail})
    return go(url_for("console.job", job_id=job_id))


def _change(session: Session, job_id: UUID, typed: StartForm) -> None:
    actor_id, now = principal().actor_id, clock.now(session)
    row = job_row(session, job_id)
    shown = start_of(row.scheduled_for, row.priority)
    set_priority(session, job_id, priority_of(typed), actor_id=actor_id, now=now)
    if "starts_at" in request.form and typed.starts_at != shown.starts_at:
        house = front().house
        reschedule(
            session,
            job_id,
            time_of(typed),
            actor_id=actor_id,
            now=now,
            kinds=house.job_kinds,
            limits=house.limits,
        )


def _form(
    job_id: UUID, typed: StartForm | None = None, errors: dict[str, str] | None = None
) -> Response:
    with looking() as session:
        row = job_row(session, job_id)
        name = job_name(row.kind, labels_of(session, [row]).campaign(row))
    state, home = JobState(row.state), url_for("console.job", job_id=job_id)
    if state not in MAY[Move.PRIORITISE]:
        return go(home)
    return page(
        "job_change.html",
        title=f"Change – {name}",
        section="jobs",
        crumbs=[("Jobs", url_for("console.jobs")), (name, home), ("Change", None)],
        status=422 if errors else 200,
        home=home,
        name=name,
        start=typed or start_of(row.scheduled_for, row.priority),
        priorities=PRIORITIES,
        may_move=state in MAY[Move.RESCHEDULE],
        errors=errors or {},
    )
