"""Pause and resume a job, cancel it after saying what is kept, and retry what failed."""

from uuid import UUID

from flask import Blueprint, Response, request, url_for

from models import clock
from models.database import scoped_transaction
from models.jobs import JobState
from models.scope import client
from pipelines.access.permissions import Permission
from pipelines.errors import NotFound
from pipelines.jobs.control import cancel_job, pause_job, resume_job, retry_job
from pipelines.jobs.labels import labels_of
from pipelines.jobs.read import job_row, job_view
from pipelines.jobs.states import MOVES
from web.console.frame import go, page
from web.console.job_words import KINDS, cancel_effect
from web.console.visit import looking
from web.front import front
from web.guards import permitted, principal

REASON_CHARACTERS_MAX = 200
NO_REASON = "Say in a few words why the job is cancelled; it is kept with the job."


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/jobs/<uuid:job_id>/cancel", "job_cancel", ask, methods=["GET"])
    console.add_url_rule("/jobs/<uuid:job_id>/cancel", "job_cancel_now", cancel, methods=["POST"])
    console.add_url_rule("/jobs/<uuid:job_id>/pause", "job_pause", pause, methods=["POST"])
    console.add_url_rule("/jobs/<uuid:job_id>/resume", "job_resume", resume, methods=["POST"])
    console.add_url_rule("/jobs/<uuid:job_id>/retry", "job_retry", retry, methods=["POST"])


@permitted(Permission.JOBS_CONTROL)
def ask(job_id: UUID) -> Response:
    return _question(job_id)


@permitted(Permission.JOBS_CONTROL)
def cancel(job_id: UUID) -> Response:
    """Cancel with a reason; without one the question is asked again."""
    reason = " ".join(request.form.get("reason", "").split())[:REASON_CHARACTERS_MAX]
    if not reason:
        return _question(job_id, wrong=NO_REASON, status=422)
    house, caller = front().house, principal()
    with scoped_transaction(house.sessions, client(_client_of(job_id))) as session:
        cancel_job(session, job_id, actor_id=caller.actor_id, now=clock.now(session), reason=reason)
    return _to_job(job_id)


@permitted(Permission.JOBS_CONTROL)
def pause(job_id: UUID) -> Response:
    """Start no more work for the job."""
    house, caller = front().house, principal()
    with scoped_transaction(house.sessions, client(_client_of(job_id))) as session:
        pause_job(session, job_id, actor_id=caller.actor_id, now=clock.now(session))
    return _to_job(job_id)


@permitted(Permission.JOBS_CONTROL)
def resume(job_id: UUID) -> Response:
    """Take the job up where it stood."""
    house, caller = front().house, principal()
    with scoped_transaction(house.sessions, client(_client_of(job_id))) as session:
        resume_job(session, job_id, actor_id=caller.actor_id, now=clock.now(session))
    return _to_job(job_id)


@permitted(Permission.JOBS_CONTROL)
def retry(job_id: UUID) -> Response:
    """Open another round for the failed items."""
    house, caller = front().house, principal()
    with scoped_transaction(house.sessions, client(_client_of(job_id))) as session:
        retry_job(
            session,
            job_id,
            actor_id=caller.actor_id,
            now=clock.now(session),
            kinds=house.job_kinds,
            limits=house.limits,
        )
    return _to_job(job_id)


def _question(job_id: UUID, *, wrong: str | None = None, status: int = 200) -> Response:
    with looking() as session:
        row = job_row(session, job_id)
        name = labels_of(session, [row]).campaign(row) or KINDS.get(row.kind, "Job")
        view = job_view(row, now=clock.now(session), limits=front().house.limits)
    if JobState.CANCELLING not in MOVES[JobState(row.state)]:
        return _to_job(job_id)
    effect, button = cancel_effect(view["counts"], view["money"])
    home = url_for("console.job", job_id=job_id)
    return page(
        "job_cancel.html",
        title=f"Cancel – {name}",
        section="jobs",
        crumbs=[("Jobs", url_for("console.jobs")), (name, home), ("Cancel", None)],
        status=status,
        home=home,
        name=name,
        effect=effect,
        button=button,
        wrong=wrong,
    )


def _client_of(job_id: UUID) -> UUID:
    """A job's work happens in its client's scope; the platform's own jobs have none."""
    with looking() as session:
        client_id: UUID | None = job_row(session, job_id).client_id
    if client_id is None:
        raise NotFound
    return client_id


def _to_job(job_id: UUID) -> Response:
    return go(url_for("console.job", job_id=job_id))
