"""The commands of partners, through the API: list them, make one, draw its secret (S0-33)."""

import json
from typing import Any
from uuid import UUID

import click
from rich.console import Console
from rich.table import Table

from ops.commands.ending import USAGE, Ending
from ops.commands.engine import json_option
from ops.commands.working import signed_in
from pipelines.partners.secrets import OVERLAP_SECONDS_MAX

partner_argument = click.argument("partner_id", type=click.UUID)
HOUR_SECONDS = 3600
OVERLAP_HOURS_MAX = OVERLAP_SECONDS_MAX // HOUR_SECONDS
OVERLAP_HOURS = (
    f"Give --overlap-hours at least 1 and at most {OVERLAP_HOURS_MAX} hours (30 days). "
    "With --end-all the secret before ends at once, and so does every visit."
)


@click.group()
def partners() -> None:
    """Look at partners, make them, draw their secrets. Needs LARGESSE_TOKEN."""


@partners.command("list")
@click.option(
    "--state", type=click.Choice(["active", "disabled"]), help="Only those that stand so."
)
@json_option
def list_partners(state: str | None, *, in_json: bool) -> None:
    """List the youngest hundred."""
    query = {"state": state} if state else {}
    answer = signed_in().get("/vendors", limit="100", **query)
    if in_json:
        click.echo(json.dumps(answer, indent=1))
    elif not answer["data"]:
        click.echo("No partners.")
    else:
        table = Table("id", "name", "state", "time zone", "last token", box=None, pad_edge=False)
        for told in answer["data"]:
            last = (told["last_token_at"] or "never")[:16]
            table.add_row(told["id"], told["name"], told["state"], told["time_zone"], last)
        Console(width=160).print(table, markup=False)


@partners.command()
@click.argument("name")
@click.option("--time-zone", help="In which its months begin, such as Europe/Vienna; else UTC.")
@click.option(
    "--origin",
    "origins",
    multiple=True,
    help="A site that may show the widget, such as https://shop.example; may be given again.",
)
@click.option(
    "--offer",
    "offers",
    multiple=True,
    metavar="BOOK:TITLE",
    help="A book that its users may claim from, by its id, and what they read; may be given again.",
)
@click.option("--client", help="Of which client, for who sees several.")
def create(
    name: str,
    time_zone: str | None,
    origins: tuple[str, ...],
    offers: tuple[str, ...],
    client: str | None,
) -> None:
    """Make a partner and print its id. It has no secret until you draw one."""
    body: dict[str, Any] = {
        "name": name,
        "origins": list(origins),
        "offers": [_offer(text) for text in offers],
    }
    if time_zone is not None:
        body["time_zone"] = time_zone
    if client is not None:
        body["client_id"] = client
    click.echo(signed_in().send("POST", "/vendors", json=body)["id"])


@partners.command()
@partner_argument
@click.option(
    "--overlap-hours",
    type=int,
    help="How long the secret before goes on: 24 hours unless it is said, at most 720 (30 days).",
)
@click.option(
    "--end-all",
    is_flag=True,
    help="A stranger knows it: every secret before ends at once, and every visit.",
)
@json_option
def secret(partner_id: UUID, overlap_hours: int | None, *, end_all: bool, in_json: bool) -> None:
    """Draw the partner's secret, or another one, and print it this once.

    Alone on the output, so that it goes into a file or a store of secrets unseen.
    """
    if end_all and overlap_hours is not None:
        raise Ending(USAGE, "Give --overlap-hours or --end-all, and not both.")
    if overlap_hours is not None and not 1 <= overlap_hours <= OVERLAP_HOURS_MAX:
        raise Ending(USAGE, OVERLAP_HOURS)
    body = {}
    if end_all:
        body["overlap_seconds"] = 0
    elif overlap_hours is not None:
        body["overlap_seconds"] = overlap_hours * HOUR_SECONDS
    told = signed_in().send("POST", f"/vendors/{partner_id}/partner-secret", json=body)
    if in_json:
        click.echo(json.dumps(told, indent=1))
        return
    click.echo(told["partner_secret"])
    for old in told["old"]:
        click.echo(
            f"The one that ends with {old['last4']} is good until {old['ends_at']}.", err=True
        )
    if told["sessions_ended"]:
        click.echo(f"{told['sessions_ended']} visits were ended.", err=True)


def _offer(text: str) -> dict[str, str]:
    book, colon, title = text.partition(":")
    if not colon or not title.strip():
        raise Ending(USAGE, f"Give --offer as BOOK:TITLE, and not {text!r}.")
    return {"book_id": book.strip(), "title": title.strip()}
