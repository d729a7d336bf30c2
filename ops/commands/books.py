"""The commands of books of coupons, through the API: look at them, make them, fill them with codes."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from rich.console import Console
from rich.table import Table

from ops.commands.engine import json_option
from ops.commands.working import FILE, follow, on_error_option, signed_in
from pipelines.books.patterns import PLAIN_ALPHABET
from pipelines.books.read import BookState
from pipelines.books.usage import DAYS_MAX, DAYS_SHOWN

book_argument = click.argument("book_id", type=click.UUID)
wait_option = click.option("--wait/--no-wait", default=True, help="Watch the job to its end.")
USES = ("assigned", "released", "redeemed", "voided")
STATES = ("unassigned", "assigned", "locked", "redeemed", "void")


@click.group()
def books() -> None:
    """Look at books of coupons, make them and fill them. Needs LARGESSE_TOKEN."""


@books.command("list")
@click.option("--words", help="Only books with these words in their name.")
@click.option(
    "--state", type=click.Choice([state.value for state in BookState]), help="Only in this state."
)
@json_option
def list_books(words: str | None, state: str | None, *, in_json: bool) -> None:
    """List the youngest hundred with their stock."""
    query = {name: value for name, value in (("name", words), ("state", state)) if value}
    answer = signed_in().get("/books", limit="100", **query)
    if in_json:
        click.echo(json.dumps(answer, indent=1))
    elif not answer["data"]:
        click.echo("No books.")
    else:
        table = Table("id", "name", "state", *STATES, box=None, pad_edge=False)
        for book in answer["data"]:
            stock = [str(book["stock"][name]) for name in STATES]
            table.add_row(book["id"], book["name"], book["state"], *stock)
        Console(width=160).print(table, markup=False)


@books.command()
@book_argument
@json_option
def show(book_id: UUID, *, in_json: bool) -> None:
    """Show one book: its rules, and its coupons by state."""
    book = signed_in().get(f"/books/{book_id}")
    if in_json:
        click.echo(json.dumps(book, indent=1))
        return
    click.echo(f"{book['name']} is {book['state']}.")
    stock = ", ".join(f"{book['stock'][name]} {name}" for name in STATES)
    click.echo(f"{book['stock']['total']} coupons: {stock}.")
    times = "more than once" if book["allow_multi_redemption"] else "once"
    click.echo(f"A coupon is redeemed {times}{', its code is sealed' * book['seals_codes']}.")
    if book["tells_holder"]:
        click.echo("Its holder is told by mail when it is redeemed.")
    for name in _LIMITS:
        if book[name] is not None:
            click.echo(f"{name}: {book[name]}")
    if book["pattern"]:
        parts = (book["pattern"]["prefix"], "·" * book["pattern"]["random_length"])
        shown = "-".join(part for part in (*parts, book["pattern"]["suffix"]) if part)
        click.echo(f"Codes: {shown}, room for {book['capacity']['room_for']} more.")


@books.command()
@book_argument
@click.option(
    "--days",
    type=click.IntRange(1, DAYS_MAX),
    default=DAYS_SHOWN,
    show_default=True,
    help="In UTC.",
)
@json_option
def usage(book_id: UUID, days: int, *, in_json: bool) -> None:
    """Show how coupons of a book were used on each of the last days, and in all."""
    answer = signed_in().get(f"/books/{book_id}/usage", days=str(days))
    if in_json:
        click.echo(json.dumps(answer, indent=1))
        return
    table = Table("day", *USES, box=None, pad_edge=False)
    busy = [day for day in answer["data"] if any(day[name] for name in USES)]
    for day in busy:
        table.add_row(day["day"], *(str(day[name]) for name in USES))
    if busy:
        Console(width=160).print(table, markup=False)
    totals = ", ".join(f"{answer['totals'][name]} {name}" for name in USES)
    click.echo(f"In {days} days: {totals}.")


#: The options of `create` that are members of the body as they are.
_LIMITS = (
    "max_redemptions_per_coupon",
    "max_redemptions_per_user",
    "max_redemptions",
    "max_assignments_per_user",
    "max_assignments",
)


@books.command()
@click.argument("name")
@click.option("--prefix", default="", help="What codes begin with.")
@click.option("--length", type=int, help="Random characters; left out: codes are uploaded only.")
@click.option("--alphabet", default=PLAIN_ALPHABET, show_default=True, help="Of these characters.")
@click.option("--suffix", default="", help="What codes end with.")
@click.option("--multi", is_flag=True, help="A coupon may be redeemed more than once.")
@click.option("--sealed", is_flag=True, help="Codes are worth money to whoever holds them.")
@click.option("--tells-holder", is_flag=True, help="Holders are mailed when theirs is redeemed.")
@click.option("--max-redemptions-per-coupon", type=int)
@click.option("--max-redemptions-per-user", type=int)
@click.option("--max-redemptions", type=int, help="Of the whole book.")
@click.option("--max-assignments-per-user", type=int)
@click.option("--max-assignments", type=int, help="Of the whole book.")
@click.option("--starts-at", help="From when, such as 2027-01-31T09:00:00Z.")
@click.option("--expires-at", help="Until when.")
@click.option("--client", "client_id", help="The client's id, for who sees several.")
def create(
    name: str,
    prefix: str,
    length: int | None,
    alphabet: str,
    suffix: str,
    *,
    multi: bool,
    sealed: bool,
    tells_holder: bool,
    **rules: Any,
) -> None:
    """Make a book; it prints its id."""
    body = {"name": name, "allow_multi_redemption": multi, "seals_codes": sealed}
    body["tells_holder"] = tells_holder
    body |= {rule: value for rule, value in rules.items() if value is not None}
    if length is not None:
        parts = {"prefix": prefix, "random_length": length, "alphabet": alphabet, "suffix": suffix}
        body |= {"pattern": parts}
    click.echo(signed_in().send("POST", "/books", json=body)["id"])


@books.command()
@book_argument
@click.option("--count", type=int, required=True, help="How many new codes.")
@wait_option
def generate(book_id: UUID, count: int, *, wait: bool) -> None:
    """Make new codes by the book's pattern."""
    api = signed_in()
    job = api.send("POST", f"/books/{book_id}/generate", json={"count": count})
    follow(api, job, "Codes", wait=wait)


@books.command("import")
@book_argument
@click.argument("file", type=FILE)
@on_error_option
@wait_option
def import_codes(book_id: UUID, file: Path, on_error: str, *, wait: bool) -> None:
    """Import a CSV of codes of your own (column `code`) into a book."""
    api = signed_in()
    job = api.send(
        "POST",
        f"/books/{book_id}/codes",
        params={"on_error": on_error},
        data=file.read_bytes(),
        headers={"Content-Type": "text/csv"},
    )
    follow(api, job, "Codes", wait=wait)
