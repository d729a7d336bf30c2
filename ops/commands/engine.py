"""The commands of the work engine, through the API: `queues` and `dead-letters`."""

import json
from typing import Any
from uuid import UUID

import click
from rich.console import Console
from rich.table import Table

from ops.commands.ending import USAGE, Ending
from ops.commands.working import signed_in

reason_option = click.option("--reason", required=True, help="Why; kept in the audit log.")
json_option = click.option(
    "--json", "in_json", is_flag=True, help="Print one JSON object for scripts."
)


@click.group("queues", invoke_without_command=True)
@json_option
@click.pass_context
def queues(ctx: click.Context, *, in_json: bool) -> None:
    """Show what waits in each queue and who works on it. Needs LARGESSE_TOKEN of the platform."""
    if ctx.invoked_subcommand is not None:
        return
    seen = signed_in().get("/queues")
    if in_json:
        click.echo(json.dumps(seen, indent=1))
    else:
        _print_queues(seen["queues"])


@queues.command("pause")
@click.argument("name")
@reason_option
def pause_queue(name: str, reason: str) -> None:
    """Stop a queue: what runs ends, what comes waits."""
    signed_in().send("POST", f"/queues/{name}/pause", json={"reason": reason})
    click.echo(f"{name} is paused.")


@queues.command("resume")
@click.argument("name")
def resume_queue(name: str) -> None:
    """Let a queue run again."""
    signed_in().send("POST", f"/queues/{name}/resume")
    click.echo(f"{name} runs.")


@click.group("dead-letters")
def letters() -> None:
    """Work whose attempts are spent. Needs LARGESSE_TOKEN of the platform."""


@letters.command("list")
@click.option("--state", type=click.Choice(["dead", "buried"]), help="Only these.")
@click.option("--kind", help="Only of this kind.")
@json_option
def list_letters(state: str | None, kind: str | None, *, in_json: bool) -> None:
    """List the youngest hundred."""
    wanted = {"state": state, "kind": kind}
    query = {name: value for name, value in wanted.items() if value is not None}
    answer = signed_in().get("/dead-letters", limit="100", **query)
    if in_json:
        click.echo(json.dumps(answer, indent=1))
    else:
        _print_letters(answer["data"])


@letters.command("replay")
@click.argument("task_id", type=click.UUID, required=False)
@click.option("--all", "everything", is_flag=True, help="All that are dead, 1,000 at a time.")
@click.option("--kind", help="All of this kind.")
def replay_letters(task_id: UUID | None, kind: str | None, *, everything: bool) -> None:
    """Give one dead task, all of a kind, or all of them their attempts again."""
    if [task_id is not None, kind is not None, everything].count(True) != 1:
        raise Ending(USAGE, "Name one task, or a --kind, or --all.")
    api = signed_in()
    if task_id is not None:
        api.send("POST", f"/dead-letters/{task_id}/replay")
        click.echo("1 replayed.")
        return
    answer = api.send("POST", "/dead-letters/replay", json={"kind": kind} if kind else {})
    click.echo(f"{answer['replayed']} replayed.")


@letters.command("bury")
@click.argument("task_id", type=click.UUID)
@reason_option
def bury_letter(task_id: UUID, reason: str) -> None:
    """Decide that a dead task is not to be done."""
    signed_in().send("POST", f"/dead-letters/{task_id}/bury", json={"reason": reason})
    click.echo("Buried.")


def _print_queues(rows: list[dict[str, Any]]) -> None:
    table = Table(
        "queue", "due", "later", "in hand", "dead", "oldest", "per second", "busy", "state",
        box=None, pad_edge=False,
    )  # fmt: skip
    for queue in rows:
        oldest = queue["oldest_due_seconds"]
        counts = [str(queue[name]) for name in ("due", "scheduled", "in_hand", "dead")]
        table.add_row(
            queue["name"],
            *counts,
            "–" if oldest is None else f"{oldest:.0f} s",
            str(queue["rate_per_second"]),
            f"{queue['busy']} of {queue['threads']}",
            _state(queue),
        )
    Console().print(table)
    for queue in rows:
        if queue["paused"] is not None:
            click.echo(f"{queue['name']} is paused: {queue['paused']['reason']}")


def _state(queue: dict[str, Any]) -> str:
    if queue["paused"] is not None:
        return "paused"
    return "runs" if queue["workers"] else "no workers"


def _print_letters(rows: list[dict[str, Any]]) -> None:
    if not rows:
        click.echo("No dead letters.")
        return
    table = Table("id", "kind", "state", "last fault", "died", box=None, pad_edge=False)
    for letter in rows:
        names = ("id", "kind", "state", "last_error", "died_at")
        table.add_row(*(str(letter[name] or "–") for name in names))
    Console(width=160).print(table)
