"""The commands of pools of people, through the API: look at them, add people, import a file."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from rich.console import Console
from rich.table import Table

from ops.commands.engine import json_option
from ops.commands.working import FILE, ON_ERROR, follow, on_error_option, signed_in

pool_argument = click.argument("pool_id", type=click.UUID)
create_option = click.option(
    "--create-missing", is_flag=True, help="Make people whom the client does not know yet."
)


@click.group()
def pools() -> None:
    """Look at pools of people and add people to them. Needs LARGESSE_TOKEN."""


@pools.command("list")
@click.option("--words", help="Only pools with these words in their name.")
@json_option
def list_pools(words: str | None, *, in_json: bool) -> None:
    """List the youngest hundred."""
    query = {"q": words} if words else {}
    answer = signed_in().get("/pools", limit="100", **query)
    if in_json:
        click.echo(json.dumps(answer, indent=1))
    elif not answer["data"]:
        click.echo("No pools.")
    else:
        table = Table("id", "name", "people", box=None, pad_edge=False)
        for pool in answer["data"]:
            table.add_row(pool["id"], pool["name"], str(pool["members"]))
        Console(width=160).print(table, markup=False)


@pools.command()
@pool_argument
@json_option
def show(pool_id: UUID, *, in_json: bool) -> None:
    """Show one pool: its description, and how many are in it."""
    pool = signed_in().get(f"/pools/{pool_id}")
    if in_json:
        click.echo(json.dumps(pool, indent=1))
        return
    state = " (archived)" if pool["archived"] else ""
    click.echo(f"{pool['name']}{state}: {pool['members']} people.")
    if pool["description"]:
        click.echo(pool["description"])


@pools.command()
@pool_argument
@click.option("--email", "emails", multiple=True, help="An address; may be given again.")
@click.option("--user", "user_ids", multiple=True, help="A user id; may be given again.")
@click.option("--external-id", "external_ids", multiple=True, help="The client's own id.")
@click.option("--on-error", type=ON_ERROR, default="abort", help="What an unknown one does.")
@create_option
def add(
    pool_id: UUID,
    emails: tuple[str, ...],
    user_ids: tuple[str, ...],
    external_ids: tuple[str, ...],
    on_error: str,
    *,
    create_missing: bool,
) -> None:
    """Add some people at once."""
    named = {"emails": emails, "user_ids": user_ids, "external_ids": external_ids}
    body: dict[str, Any] = {name: list(given) for name, given in named.items() if given}
    body |= {"on_error": on_error, "create_missing": create_missing}
    done = signed_in().send("POST", f"/pools/{pool_id}/users", json=body)
    click.echo(f"{done['added']} added, {done['already_members']} in the pool already.")
    for entry in done["unknown"]:
        click.echo(f"  {entry['pointer']}: {entry['detail']} ({entry['code']})", err=True)


@pools.command("import")
@pool_argument
@click.argument("file", type=FILE)
@on_error_option
@create_option
@click.option("--wait/--no-wait", default=True, help="Watch the import to its end.")
def import_people(
    pool_id: UUID, file: Path, on_error: str, *, create_missing: bool, wait: bool
) -> None:
    """Import a CSV of people (user_id,email,external_id,name) into a pool.

    A user id there is of somebody whom the client knows already.
    """
    api = signed_in()
    job = api.send(
        "POST",
        f"/pools/{pool_id}/users",
        params={"on_error": on_error} | ({"create_missing": "true"} if create_missing else {}),
        data=file.read_bytes(),
        headers={"Content-Type": "text/csv"},
    )
    follow(api, job, "People", wait=wait)
