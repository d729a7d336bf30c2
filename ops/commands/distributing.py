"""The commands of distributions, through the API: `distribute` to a pool, `draw verify` afterwards."""

import csv
import json
from typing import Any
from uuid import UUID

import click

from models.jobs import JobState
from ops.client import Api
from ops.commands.ending import FAILED, Ending
from ops.commands.working import PRIORITY, at_option, follow, signed_in
from ops.draws import first_difference
from pipelines.distribution.draw import Mode, RemainderPolicy
from pipelines.distribution.plan import OnFailure

#: Said beside a coupon that differs, for there are two honest reasons.
NOTE = (
    "Rows that were retried have other coupons; and where other draws of the book were open at "
    "the same time, coupons are shuffled part by part (docs/draw.md)."
)


def _choice(kinds: type[Mode | RemainderPolicy | OnFailure]) -> click.Choice[str]:
    return click.Choice([kind.value for kind in kinds])


@click.command()
@click.option("--pool", required=True, type=click.UUID, help="The pool of people.")
@click.option("--book", "book_id", required=True, help="The book's id.")
@click.option("--mode", required=True, type=_choice(Mode), help="How it is decided who gets one.")
@click.option("--count", required=True, type=int, help="How many coupons in all.")
@click.option(
    "--remainder",
    "remainder_policy",
    type=_choice(RemainderPolicy),
    help="Equal mode: where the coupons go that are left over.",
)
@click.option(
    "--on-failure", "mode_on_failure", type=_choice(OnFailure), help="Who else is served."
)
@click.option("--max-per-recipient", type=int, help="At most so many for one person.")
@click.option("--seed", help="A seed of your own, such as one that others chose.")
@click.option("--plan-hash", help="Refuse unless the plan is the one that a preview showed.")
@click.option("--allow-partial", is_flag=True, help="Serve as many as there are coupons for.")
@at_option
@click.option("--priority", type=PRIORITY, help="Which of the client's jobs goes first.")
@click.option("--preview", is_flag=True, help="Show the plan; write nothing.")
@click.option("--wait", is_flag=True, help="Watch the job to its end.")
def distribute(
    pool: UUID, at: str | None, *, allow_partial: bool, preview: bool, wait: bool, **options: Any
) -> None:
    """Give coupons of a book to the people of a pool. Needs LARGESSE_TOKEN."""
    body = {name: value for name, value in options.items() if value is not None}
    body |= {"allow_partial": allow_partial} | ({"scheduled_for": at} if at else {})
    api, path = signed_in(), f"/pools/{pool}/distribute"
    if preview:
        plan = api.send("POST", path, json=body, params={"preview": "true"})
        click.echo(json.dumps(plan, indent=1))
        return
    follow(api, api.send("POST", path, json=body), "Coupons", wait=wait)


@click.group()
def draw() -> None:
    """Draw distributions again, to see that nobody chose who gets what."""


@draw.command()
@click.argument("job_id", type=click.UUID)
def verify(job_id: UUID) -> None:
    """Download what a distribution was drawn from and draw it again; OK, or what differs first.

    Needs LARGESSE_TOKEN, and nothing else of the server: seed, people and results are public to
    whoever sees the job.
    """
    api = signed_in()
    drawn = api.get(f"/jobs/{job_id}/draw")
    if drawn["seed"] is None:
        state = JobState(api.job(str(job_id))["state"])
        raise Ending(FAILED, f"The seed is told when the job has ended; it is {state}.")
    members = _rows(api, f"/jobs/{job_id}/draw-members.csv")
    results = _rows(api, f"/jobs/{job_id}/results.csv")
    difference = first_difference(drawn, members, results)
    if difference is not None:
        raise Ending(FAILED, f"{difference}\n{NOTE}")
    given = sum(bool(row["coupon_id"]) for row in results)
    click.echo(f"OK: {given} coupons and {len(members)} people are as the seed draws them.")


def _rows(api: Api, path: str) -> list[dict[str, str]]:
    text = b"".join(api.download(path)).decode("utf-8-sig")
    return list(csv.DictReader(text.splitlines()))
