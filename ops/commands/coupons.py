"""The commands of single coupons, through the API: look at one, give it, take it back, withdraw it."""

import json
from typing import Any
from urllib.parse import quote
from uuid import UUID

import click

from ops.client import Api
from ops.commands.ending import USAGE, Ending
from ops.commands.engine import json_option
from ops.commands.working import signed_in

code_argument = click.argument("code")
client_option = click.option("--client", help="The client's id, for who sees several.")
reason_option = click.option("--reason", help="Why; kept in the coupon's history.")
#: How long an assignment is waited for.
PATIENCE = {"Prefer": "wait=20"}


@click.group()
def coupons() -> None:
    """Look at coupons, give them and take them back. Needs LARGESSE_TOKEN."""


@coupons.command()
@code_argument
@client_option
@json_option
def show(code: str, client: str | None, *, in_json: bool) -> None:
    """Show one coupon: its state, whose it is, and what can be done with it."""
    coupon = signed_in().get(_path(code), **_of(client))
    if in_json:
        click.echo(json.dumps(coupon, indent=1))
        return
    holder = f" with {coupon['user_id']}" if coupon["user_id"] else ""
    click.echo(f"{coupon['code']} of {coupon['book']} is {coupon['state']}{holder}.")
    if coupon["redemptions"]:
        click.echo(f"Redeemed {coupon['redemptions']} times.")
    for name, move in coupon["moves"].items():
        click.echo(f"  {name}: {'yes' if move['code'] is None else move['detail']}")


@coupons.command()
@code_argument
@client_option
@json_option
def history(code: str, client: str | None, *, in_json: bool) -> None:
    """Tell what was done to a coupon, the oldest first; the first hundred."""
    answer = signed_in().get(f"{_path(code)}/history", limit="100", **_of(client))
    if in_json:
        click.echo(json.dumps(answer, indent=1))
        return
    for event in answer["data"]:
        said = [event["at"], event["move"], event["user_id"], event["reason"]]
        click.echo("  ".join(part for part in said if part))


@coupons.command()
@click.option("--book", help="One of this book (its id), at random.")
@click.option("--code", help="This very coupon.")
@click.option("--user", help="To the person with this id.")
@click.option("--email", help="To whom the client knows by this address.")
@click.option("--external-id", help="To whom the client knows by this id of its own.")
@client_option
def assign(
    book: str | None,
    code: str | None,
    user: str | None,
    email: str | None,
    external_id: str | None,
    client: str | None,
) -> None:
    """Give a person a coupon; it prints its code."""
    whom = {"user_id": user, "email": email, "external_id": external_id}
    body = {name: value for name, value in whom.items() if value is not None}
    if (book is None) == (code is None) or len(body) != 1:
        raise Ending(USAGE, "Give --book or --code, and --user, --email or --external-id.")
    api = signed_in()
    if code is None:
        path, body = "/coupons/assign", body | {"book_id": str(book)}
    else:
        path, body = f"/coupons/assign/{quote(code, safe='')}", body | _of(client)
    job = api.send("POST", path, json=body, headers=PATIENCE)
    if job["result"] is None:
        click.echo(f"Not done yet; see `largesse jobs show {job['id']}`.", err=True)
    else:
        click.echo(job["result"]["coupon"]["code"])


@coupons.command()
@code_argument
@reason_option
@client_option
def release(code: str, reason: str | None, client: str | None) -> None:
    """Take a coupon that was not redeemed back into its book."""
    _withdraw(signed_in(), code, "release", reason, client)


@coupons.command()
@code_argument
@reason_option
@client_option
def void(code: str, reason: str | None, client: str | None) -> None:
    """Make a coupon worthless for good."""
    _withdraw(signed_in(), code, "void", reason, client)


def _withdraw(api: Api, code: str, move: str, reason: str | None, client: str | None) -> None:
    body: dict[str, Any] = _of(client) | ({"reason": reason} if reason else {})
    coupon = api.send("POST", f"{_path(code)}/{move}", json=body)
    click.echo(f"{coupon['code']} is {coupon['state']}.")


def _path(code: str) -> str:
    return f"/coupons/{quote(code, safe='')}"


def _of(client: str | None) -> dict[str, str]:
    return {"client_id": str(UUID(client))} if client else {}
