"""Pause and resume a job, cancel it after saying what is kept, and retry what failed."""

import hashlib
import re
from collections.abc import Callable
from functools import partial
from uuid import UUID

from flask import Blueprint, Response, request, url_for

from models import clock
from models.database import scoped_transaction
from models.jobs import JobState
from models.scope import client
from pipelines.access.permissions import Permission
from pipelines.access.rate_policies import Policy
from pipelines.errors import NotFound
from pipelines.jobs.control import cancel_job, pause_job, resume_job, retry_job
from pipelines.jobs.labels import labels_of
from pipelines.jobs.read import job_row, job_view
from pipelines.jobs.schedule import reschedule
from pipelines.jobs.states import MAY, Move
from pipelines.queue.keys import RequestInProgress, RequestKey, once
from web.console.at_work import still_at_work
from web.console.followup_words import undo_cancel_effect
from web.console.frame import go, page
from web.console.job_words import cancel_effect
from web.console.kind_words import UNDOES, job_name
from web.console.reasons import typed_reason
from web.console.visit import looking
from web.front import front
from web.guards import permitted, principal
from web.rate_limits import limited

NO_REASON = "Say in a few words why the job is cancelled; it is kept with the job."
_VERSION = re.compile(r"[0-9]{1,10}", re.ASCII)


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/jobs/<uuid:job_id>/cancel", "job_cancel", ask, methods=["GET"])
    console.add_url_rule("/jobs/<uuid:job_id>/cancel", "job_cancel_now", cancel, methods=["POST"])
    console.add_url_rule("/jobs/<uuid:job_id>/pause", "job_pause", pause, methods=["POST"])
    console.add_url_rule("/jobs/<uuid:job_id>/resume", "job_resume", resume, methods=["POST"])
    console.add_url_rule("/jobs/<uuid:job_id>/retry", "job_retry", retry, methods=["POST"])
    console.add_url_rule("/jobs/<uuid:job_id>/start", "job_start", start, methods=["POST"])


@permitted(Permission.JOBS_CONTROL)
def ask(job_id: UUID) -> Response:
    return _question(job_id)


@permitted(Permission.JOBS_CONTROL)
def cancel(job_id: UUID) -> Response:
    """Cancel with a reason; without one the question is asked again."""
    reason = typed_reason()
    if not reason:
        return _question(job_id, wrong=NO_REASON, status=422)
    return _moved(job_id, partial(cancel_job, reason=reason))


@permitted(Permission.JOBS_CONTROL)
def pause(job_id: UUID) -> Response:
    """Start no more work for the job."""
    return _moved(job_id, pause_job)


@permitted(Permission.JOBS_CONTROL)
def resume(job_id: UUID) -> Response:
    """Take the job up where it stood."""
    return _moved(job_id, resume_job)


@permitted(Permission.JOBS_CONTROL)
@limited(Policy.SUBMIT)
def retry(job_id: UUID) -> Response:
    """Open another round for the failed items."""
    house = front().house
    return _moved(job_id, partial(retry_job, kinds=house.job_kinds, limits=house.limits))


@permitted(Permission.JOBS_CONTROL)
def start(job_id: UUID) -> Response:
    """Do not wait for the time that the job was given."""
    house = front().house
    begin = partial(reschedule, at=None, kinds=house.job_kinds, limits=house.limits)
    return _moved(job_id, begin)


def _moved(job_id: UUID, move: Callable[..., object]) -> Response:
    """Move the job; a form that is sent twice moves it once, and both times leads to the job."""
    caller = principal()

    def moved() -> UUID:
        move(session, job_id, actor_id=caller.actor_id, now=clock.now(session))
        return job_id

    key, scope = _key_of_form(caller.actor_id), client(_client_of(job_id))
    try:
        with scoped_transaction(front().house.sessions, scope) as session:
            once(session, key, moved, status=303, resource_kind="job")
    except RequestInProgress:
        return still_at_work(url_for("console.job", job_id=job_id))
    return _to_job(job_id)


def _key_of_form(actor_id: UUID) -> RequestKey | None:
    """A form is one move out of the state that its page showed, whatever is typed into it."""
    version = request.form.get("version", "")
    if not _VERSION.fullmatch(version):
        return None
    name = f"form:{request.path}:{version}"
    return RequestKey(actor_id, name, hashlib.sha256(name.encode()).digest())


def _question(job_id: UUID, *, wrong: str | None = None, status: int = 200) -> Response:
    with looking() as session:
        row = job_row(session, job_id)
        name = job_name(row.kind, labels_of(session, [row]).campaign(row))
        view = job_view(row, now=clock.now(session), limits=front().house.limits)
    if JobState(row.state) not in MAY[Move.CANCEL]:
        return _to_job(job_id)
    if row.kind in UNDOES.values():
        effect, button = undo_cancel_effect(row.kind, view["counts"])
    else:
        effect, button = cancel_effect(row.kind, view["counts"], view["money"])
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
        version=row.version,
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
