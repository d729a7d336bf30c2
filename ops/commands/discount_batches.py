"""The commands of discount codes by the thousand, through the API: generate, import, move a batch."""

from pathlib import Path
from typing import Any
from uuid import UUID

import click

from ops.commands.books import wait_option
from ops.commands.discount_rules import rule_options, rules_body
from ops.commands.working import FILE, follow, on_error_option, signed_in
from pipelines.books.patterns import PLAIN_ALPHABET

#: The ways in which a batch is moved, by the request that does it.
MOVES = {"pause": ("POST", "/pause"), "resume": ("POST", "/resume"), "archive": ("DELETE", "")}


@click.command()
@click.option("--count", type=int, required=True, help="How many new codes.")
@click.option("--prefix", default="", help="What codes begin with.")
@click.option("--length", type=int, default=13, show_default=True, help="Random characters.")
@click.option("--alphabet", default=PLAIN_ALPHABET, show_default=True, help="Of these characters.")
@click.option("--suffix", default="", help="What codes end with.")
@rule_options
@wait_option
def generate(
    count: int, prefix: str, length: int, alphabet: str, suffix: str, *, wait: bool, **given: Any
) -> None:
    """Make many codes of a pattern that all do the same; it prints the id of their job and batch."""
    parts = {"prefix": prefix, "random_length": length, "alphabet": alphabet, "suffix": suffix}
    body = rules_body(**given) | {"count": count, "pattern": parts}
    api = signed_in()
    follow(api, api.send("POST", "/discounts/generate", json=body), "Codes", wait=wait)


@click.command("import")
@click.argument("file", type=FILE)
@on_error_option
@click.option("--client", help="Of which client, for who sees several.")
@wait_option
def import_discounts(file: Path, on_error: str, client: str | None, *, wait: bool) -> None:
    """Import a CSV of codes of your own, with a column for each rule (docs/discounts.md)."""
    api = signed_in()
    job = api.send(
        "POST",
        "/discounts/import",
        params={"on_error": on_error} | ({"client_id": client} if client else {}),
        data=file.read_bytes(),
        headers={"Content-Type": "text/csv"},
    )
    follow(api, job, "Codes", wait=wait)


@click.command()
@click.argument("batch_id", type=click.UUID)
@click.argument("move", type=click.Choice(list(MOVES)), required=False)
def batch(batch_id: UUID, move: str | None) -> None:
    """Show all codes of one job as one, or pause them, resume them, put them away."""
    api, path = signed_in(), f"/discounts/batches/{batch_id}"
    if move is None:
        told = api.get(path)
    else:
        method, way = MOVES[move]
        told = api.send(method, path + way)
    click.echo(f"The batch is {told['state']}: {told['codes']} codes, {told['used']} uses.")


#: Of the group `discounts`.
COMMANDS = (generate, import_discounts, batch)
