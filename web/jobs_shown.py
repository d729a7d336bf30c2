"""Jobs as the API shows them, and the answer to accepted work: 202, or the end if one waits."""

from typing import Any
from uuid import UUID

from flask import Response, jsonify
from sqlalchemy import Row
from sqlalchemy.orm import Session

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM, Scope, client
from pipelines.access.permissions import Permission, is_allowed
from pipelines.access.principals import Principal
from pipelines.errors import NotFound
from pipelines.jobs.kinds import COUPON_REDEMPTION, Viewer
from pipelines.jobs.read import client_of_asked, job_row, job_view
from pipelines.jobs.states import ENDED
from pipelines.provisioning.result import UNDECIDED
from web.admission import mark_replay
from web.errors import Problem, answer
from web.front import front
from web.pages import etag_of, unchanged, wait_seconds

RETRY_AFTER_SECONDS = 1
#: Members that move with the clock alone: they do not make a job another one.
_OF_THE_MOMENT = ("rate_per_second", "eta_seconds")


def job_json(session: Session, row: Row[Any], caller: Principal, *, deep: bool) -> dict[str, Any]:
    """The job of api.md; `deep` looks up the outcome of a single request."""
    house = front().house
    body = job_view(row, now=clock.now(session), limits=house.limits)
    result, error = None, body["error"]
    outcome = house.job_kinds[row.kind].outcome
    if deep and outcome is not None and row.finished_at is not None:
        viewer = Viewer(
            house.settings.keyring,
            house.settings.public_url,
            sees_costs=caller.sees_costs,
            sees_link=is_allowed(caller, Permission.PROVISION),
        )
        result, failure = outcome(session, row, viewer)
        error = error or failure
    base = f"/api/v1/jobs/{row.id}"
    return body | {
        "result": result,
        "error": error,
        "links": {
            "self": base,
            "items": f"{base}/items",
            "results": f"{base}/results.csv",
            "failures": f"{base}/failures",
        },
    }


def load_job(caller: Principal, job_id: UUID) -> dict[str, Any]:
    """The job as the caller sees it, or `NotFound`.

    A person sees the redemptions that they asked for themselves, wherever their coupon is from.
    """
    if not _sees_jobs(caller):
        return _load(_own_scope(caller, job_id), caller, job_id)
    try:
        return _load(caller.scope, caller, job_id)
    except NotFound:
        return _load(_own_scope(caller, job_id), caller, job_id)


def _sees_jobs(caller: Principal) -> bool:
    """Others than people have a tenant, and just accepted what they are told of."""
    return caller.key_scopes is not None or is_allowed(caller, Permission.JOBS_READ)


def _load(scope: Scope, caller: Principal, job_id: UUID) -> dict[str, Any]:
    with scoped_transaction(front().house.sessions, scope) as session:
        return job_json(session, job_row(session, job_id), caller, deep=True)


def _own_scope(caller: Principal, job_id: UUID) -> Scope:
    """The scope of the client of whom the caller redeems a coupon; `NotFound` for other jobs."""
    if caller.key_scopes is not None or caller.acting_for is not None:
        raise NotFound
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        return client(
            client_of_asked(session, job_id, kind=COUPON_REDEMPTION, actor_id=caller.actor_id)
        )


def job_answer(body: dict[str, Any], status: int = 200) -> Response:
    """The job with its ETag, 304 for who has it already, and when to ask again."""
    progress = {k: v for k, v in body["progress"].items() if k not in _OF_THE_MOMENT}
    tag = etag_of(body | {"progress": progress})
    if status == 200 and unchanged(tag):
        response = Response(status=304)
    else:
        response = jsonify(body)
        response.status_code = status
    response.set_etag(tag, weak=True)
    if body["state"] not in ENDED:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def accepted(caller: Principal, job_id: UUID, *, is_replay: bool) -> Response:
    """202 with the job; with `Prefer: wait` its end, if it comes in time."""
    wanted = wait_seconds()
    has_ended = front().waiter.wait(job_id, wanted)
    body = load_job(caller, job_id)
    response = _ended(body) if has_ended else job_answer(body, 202)
    if has_ended:
        response.headers["Preference-Applied"] = f"wait={wanted}"
    response.headers["Location"] = body["links"]["self"]
    return mark_replay(response, is_replay=is_replay)


def _ended(body: dict[str, Any]) -> Response:
    """A single request that was refused in the end answers as if it had been refused at once.

    One that waits for a person is still accepted: who asked must not ask anew.
    """
    error = body["error"]
    if error is not None and error.get("status") == UNDECIDED:
        return job_answer(body, UNDECIDED)
    if body["result"] is None and error is not None and "status" in error:
        extra = {"job_id": body["id"]}
        return answer(Problem(error["status"], error["code"], error["detail"], extra=extra))
    return job_answer(body)
