"""What a distribution was drawn from, and how anybody draws it again."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, url_for

from pipelines.access.permissions import Permission
from pipelines.distribution.draw import Mode
from pipelines.distribution.read import draw_json, members_csv
from pipelines.jobs.labels import labels_of
from pipelines.jobs.read import job_row
from web.console.distribute_form import REMAINDERS
from web.console.formats import number
from web.console.frame import page
from web.console.job_results import MODES
from web.console.kind_words import job_name
from web.console.visit import looking
from web.front import front
from web.guards import permitted, principal

#: Facts that are no words.
MONO = ("Digest of the seed (SHA-256)", "Seed", "Plan")


def add_pages(console: Blueprint) -> None:
    path = "/jobs/<uuid:job_id>"
    console.add_url_rule(f"{path}/draw", "job_draw", show, methods=["GET"])
    console.add_url_rule(f"{path}/draw-members.csv", "job_draw_members", download, methods=["GET"])


@permitted(Permission.JOBS_READ)
def show(job_id: UUID) -> Response:
    """The digest from the beginning, the seed when the job has ended, and the way to check it."""
    with looking() as session:
        draw = draw_json(session, job_id)
        row = job_row(session, job_id)
        name = job_name(row.kind, labels_of(session, [row]).campaign(row))
    home = url_for("console.job", job_id=job_id)
    return page(
        "job_draw.html",
        title=f"Check this draw – {name}",
        section="jobs",
        crumbs=[("Jobs", url_for("console.jobs")), (name, home), ("Check this draw", None)],
        home=home,
        draw=draw,
        facts=_facts(draw),
        mono=MONO,
    )


@permitted(Permission.JOBS_READ)
def download(job_id: UUID) -> Response:
    """Everybody who was in the pool, in its order, with how many each could still take."""
    blocks = members_csv(front().house.sessions, principal().scope, job_id)
    response = Response(blocks, mimetype="text/csv")
    name = f"draw-{str(job_id)[-12:]}.csv"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Cache-Control"] = "no-store"
    return response


def _facts(draw: Mapping[str, Any]) -> list[tuple[str, str]]:
    facts = [
        ("Mode", MODES[Mode(draw["mode"])]),
        ("Coupons asked for", number(draw["count"])),
        ("People in the pool", number(draw["members"])),
        ("Draw of the book", f"Number {number(draw['draw_number'])}"),
        ("Plan", draw["plan_hash"]),
        ("Digest of the seed (SHA-256)", draw["seed_sha256"]),
    ]
    if draw["mode"] == Mode.EQUAL:
        facts.insert(2, ("What is left over", dict(REMAINDERS)[draw["remainder_policy"]]))
    if draw["seed"]:
        given = " (given by who submitted it)" if draw["seed_is_given"] else ""
        facts.append(("Seed", f"{draw['seed']}{given}"))
    return facts
