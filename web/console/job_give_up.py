"""Give up the recipients of a job who wait because every card costs too much (EC-081)."""

from collections.abc import Callable
from functools import partial
from uuid import UUID

from flask import Blueprint, Response, url_for
from sqlalchemy.orm import Session

from models import clock
from pipelines.access.permissions import Permission
from pipelines.jobs.labels import labels_of
from pipelines.jobs.read import job_row
from pipelines.provisioning.give_up_margin import (
    MoreWait,
    NothingWaits,
    give_up_waiting,
    waiting_for_margin,
)
from web.console.amounts import whole_of
from web.console.changes import Change, Line, Place, agree, shown_again
from web.console.formats import money, plural
from web.console.frame import go
from web.console.kind_words import job_name
from web.console.visit import looking
from web.guards import permitted, principal

TITLE = "Give up recipients who wait"
#: More than any job has items.
WAITING_MAX = 10**9


def add_pages(console: Blueprint) -> None:
    path = "/jobs/<uuid:job_id>/give-up"
    console.add_url_rule(path, "job_give_up", ask, methods=["GET"])
    console.add_url_rule(path, "job_give_up_now", give_up, methods=["POST"])


@permitted(Permission.JOBS_CONTROL)
def ask(job_id: UUID) -> Response:
    return _page(job_id)


@permitted(Permission.JOBS_CONTROL)
def give_up(job_id: UUID) -> Response:
    """End those that were shown, when that was agreed to; if more wait, it asks again.

    Where nobody waits any more the job's page says so.
    """
    try:
        return _page(job_id)
    except NothingWaits:
        return go(url_for("console.job", job_id=job_id))
    except MoreWait:
        return _page(job_id, shown_again)


def _page(job_id: UUID, answer: Callable[..., Response] = agree) -> Response:
    with looking() as session:
        row = job_row(session, job_id)
        name = job_name(row.kind, labels_of(session, [row]).campaign(row))
        items, held = waiting_for_margin(session, job_id)
    home = url_for("console.job", job_id=job_id)
    if not items:
        return go(home)
    back = f"{money(held, row.currency)} held for them"
    change = Change(
        TITLE,
        (
            Line("Recipients", f"{plural(items, 'recipient')} wait for a fair cost", "Cancelled"),
            Line("Credit", back, "Goes back to the account that pays"),
        ),
        "Nothing was bought for them and nothing is charged. Instead, a lower floor or a corrected "
        "cost and a retry of the job would serve them.",
        f"Give up {plural(items, 'recipient')}",
        home,
        "job",
        partial(_ended, job_id),
        is_ending=True,
    )
    place = Place("jobs", (("Jobs", url_for("console.jobs")), (name, home)))
    return answer(place, change, {"waiting": str(items)})


def _ended(job_id: UUID, session: Session, reason: str) -> UUID:
    actor_id, now = principal().actor_id, clock.now(session)
    shown = whole_of("waiting", WAITING_MAX, {}) or 0
    give_up_waiting(session, job_id, reason=reason, actor_id=actor_id, now=now, at_most=shown)
    return job_id
