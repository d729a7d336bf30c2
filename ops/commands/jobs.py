"""The commands of jobs, through the API: look at them, move them, take them back, run them again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from rich.console import Console
from rich.table import Table

from models.jobs import ItemState, JobState
from ops.commands.engine import json_option
from ops.commands.working import (
    ON_ERROR,
    PRIORITY,
    at_option,
    follow,
    print_failures,
    signed_in,
)
from pipelines.provisioning.clone_rows import Only

job_argument = click.argument("job_id", type=click.UUID)
reason_option = click.option("--reason", help="Why; kept in the audit log and the timeline.")
preview_option = click.option("--preview", is_flag=True, help="Show the effect; write nothing.")
wait_option = click.option("--wait", is_flag=True, help="Watch the new job to its end.")


@click.group()
def jobs() -> None:
    """Look at jobs and move them. Needs LARGESSE_TOKEN."""


@jobs.command("list")
@click.option(
    "--state",
    type=click.Choice([state.value for state in JobState]),
    help="Only jobs in this state.",
)
@click.option("--kind", help="Only of this kind, such as provisioning.")
@click.option("--campaign", help="Only of the campaign with this id.")
@json_option
def list_jobs(state: str | None, kind: str | None, campaign: str | None, *, in_json: bool) -> None:
    """List the youngest hundred."""
    query = _given(state=state, kind=kind, campaign_id=campaign)
    answer = signed_in().get("/jobs", limit="100", **query)
    if in_json:
        click.echo(json.dumps(answer, indent=1))
    elif not answer["data"]:
        click.echo("No jobs.")
    else:
        table = Table("id", "kind", "state", "done", "of", "failed", box=None, pad_edge=False)
        for job in answer["data"]:
            counts = job["counts"]
            numbers = [str(counts[name]) for name in ("succeeded", "total", "failed")]
            table.add_row(job["id"], job["kind"], job["state"], *numbers)
        Console(width=160).print(table)


@jobs.command()
@job_argument
@json_option
def show(job_id: UUID, *, in_json: bool) -> None:
    """Show one job: state, counts, money, and what failed by reason."""
    api = signed_in()
    job = api.job(str(job_id))
    if in_json:
        click.echo(json.dumps(job, indent=1))
        return
    click.echo(f"{job['kind']} {job['id']} is {job['state']}.")
    if job["waits_for"] is not None:
        click.echo(f"It waits: {job['waits_for']}.")
    counts = {name: number for name, number in job["counts"].items() if number}
    click.echo(", ".join(f"{number} {name}" for name, number in counts.items()) or "No items yet.")
    money = job["money"] or {}
    amounts = [
        f"{name.removesuffix('_minor')} {amount}"
        for name, amount in money.items()
        if name.endswith("_minor") and amount
    ]
    if amounts:
        click.echo(f"In minor units of {money['currency']}: " + ", ".join(amounts))
    if job["undone"] is not None:
        undone = job["undone"]
        click.echo(
            f"{undone['count']} of them taken back since, by {', '.join(undone['job_ids'])}."
        )
    print_failures(api, str(job_id))


@jobs.command()
@job_argument
def timeline(job_id: UUID) -> None:
    """Tell what happened to a job, by whom, and what it waits for now."""
    seen = signed_in().get(f"/jobs/{job_id}/timeline")
    if seen["is_cut"]:
        click.echo("(older events are left out)")
    for event in seen["events"]:
        detail = ", ".join(f"{name} {value}" for name, value in event["detail"].items())
        click.echo(f"{event['at']}  {event['event']}  {event['by']['name']}  {detail}".rstrip())


def _move(name: str, said: str, words: str) -> Callable[..., None]:
    """A command that moves a job and says how it stands then."""

    def move(job_id: UUID, reason: str | None = None) -> None:
        job = signed_in().send("POST", f"/jobs/{job_id}/{name}", json=_given(reason=reason))
        click.echo(f"{said} It is {job['state']}.")

    move.__doc__ = words
    return move


for _name, _said, _words, _decorate in (
    ("pause", "Asked to pause.", "Start no more work for a job.", reason_option),
    ("cancel", "Asked to cancel.", "End a job; what is not begun costs nothing.", reason_option),
    ("resume", "Resumed.", "Take a paused job up where it stood.", None),
    ("retry", "The failed items are tried again.", "Try the failed items under a new hold.", None),
):
    _command = job_argument(_move(_name, _said, _words))
    jobs.command(_name)(_decorate(_command) if _decorate is not None else _command)


@jobs.command()
@job_argument
@click.option("--priority", type=PRIORITY, help="Which of the client's jobs goes first.")
@click.option("--at", help="Another start, such as 2027-01-31T09:00:00Z or with +02:00.")
def change(job_id: UUID, priority: str | None, at: str | None) -> None:
    """Change the priority of a job, or the start of one that has not started."""
    body = _given(priority=priority, scheduled_for=at)
    job = signed_in().send("PATCH", f"/jobs/{job_id}", json=body)
    start = f" and starts at {job['scheduled_for']}" if job["scheduled_for"] else ""
    click.echo(f"It has {job['priority']} priority{start}.")


@jobs.command()
@job_argument
@preview_option
@wait_option
def undo(job_id: UUID, *, preview: bool, wait: bool) -> None:
    """Take back every card of a job that nobody has seen, and its credit."""
    _follow_up(f"/jobs/{job_id}/undo", None, "Undo", preview=preview, wait=wait)


@jobs.command()
@job_argument
@click.option(
    "--only",
    type=click.Choice([only.value for only in Only]),
    help="Which of its recipients; else all.",
)
@click.option("--campaign", help="Another campaign's id.")
@click.option("--brand", help="Another brand's id.")
@click.option("--denomination-minor", type=int, help="Another face value, in cents.")
@click.option("--on-error", type=ON_ERROR, help="What a bad row does.")
@click.option("--priority", type=PRIORITY, help="Which of the client's jobs goes first.")
@at_option
@preview_option
@wait_option
def clone(
    job_id: UUID,
    only: str | None,
    campaign: str | None,
    brand: str | None,
    denomination_minor: int | None,
    on_error: str | None,
    priority: str | None,
    at: str | None,
    *,
    preview: bool,
    wait: bool,
) -> None:
    """Give the recipients of an ended job cards again; what is left out is as it was."""
    body = _given(
        only=only,
        campaign_id=campaign,
        brand_id=brand,
        denomination_minor=denomination_minor,
        on_error=on_error,
        priority=priority,
        scheduled_for=at,
    )
    _follow_up(f"/jobs/{job_id}/clone", body, "Clone", preview=preview, wait=wait)


@jobs.command()
@job_argument
@click.option(
    "--only",
    type=click.Choice([state.value for state in ItemState]),
    help="Only rows in this state.",
)
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Into this file; else print."
)
def results(job_id: UUID, only: str | None, output: Path | None) -> None:
    """Download the input with what became of each row; it can be submitted again as it is."""
    blocks = signed_in().download(f"/jobs/{job_id}/results.csv", **_given(only=only))
    if output is None:
        for block in blocks:
            click.echo(block, nl=False)
        return
    part = output.with_name(f"{output.name}.part")
    with part.open("wb") as file:
        file.writelines(blocks)
    part.replace(output)
    click.echo(f"Written to {output}.", err=True)


def _given(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def _follow_up(
    path: str, body: dict[str, Any] | None, title: str, *, preview: bool, wait: bool
) -> None:
    api = signed_in()
    parts: dict[str, Any] = {} if body is None else {"json": body}
    if preview:
        plan = api.send("POST", path, params={"preview": "true"}, **parts)
        click.echo(json.dumps(plan, indent=1))
        return
    follow(api, api.send("POST", path, **parts), title, wait=wait)
