"""The commands of purchases, through the API: look at them, and pay them back."""

import json
from typing import Any
from uuid import UUID

import click
from rich.console import Console
from rich.table import Table

from ops.client import Api
from ops.commands.ending import USAGE, Ending
from ops.commands.engine import json_option
from ops.commands.working import signed_in
from pipelines.checkout.read import STATES
from pipelines.currencies import money

purchase_argument = click.argument("purchase_id", type=click.UUID)
reason_option = click.option(
    "--reason", required=True, help="Why; kept with the refund and in the audit log."
)
key_option = click.option(
    "--key", help="A name of your own: the command sent again with it pays nothing twice."
)


@click.group()
def purchases() -> None:
    """Look at what shoppers bought, and pay it back. Needs LARGESSE_TOKEN."""


@purchases.command("list")
@click.option("--state", type=click.Choice(list(STATES)), help="Only those that stand so.")
@click.option("--discount", type=click.UUID, help="Only those with this code: its id.")
@click.option("--disputed", is_flag=True, help="Only those that a bank asks back.")
@json_option
def list_purchases(
    state: str | None, discount: UUID | None, *, disputed: bool, in_json: bool
) -> None:
    """List the youngest hundred with what was paid."""
    wanted = {
        "state": state,
        "discount_id": discount and str(discount),
        "disputed": "true" if disputed else None,
    }
    query = {name: value for name, value in wanted.items() if value}
    answer = signed_in().get("/purchases", limit="100", **query)
    if in_json:
        click.echo(json.dumps(answer, indent=1))
    elif not answer["data"]:
        click.echo("No purchases.")
    else:
        table = Table("id", "cart", "asked", "paid", "back", "state", box=None, pad_edge=False)
        for told in answer["data"]:
            asked = money(told["amount_minor"], told["currency"])
            table.add_row(
                told["id"], told["cart_id"], asked, _paid(told), _back(told), _state(told)
            )
        Console(width=160).print(table, markup=False)


@purchases.command()
@purchase_argument
@json_option
def show(purchase_id: UUID, *, in_json: bool) -> None:
    """Show one purchase: its lines by their places, what was paid, and what went back."""
    told = signed_in().get(f"/purchases/{purchase_id}")
    if in_json:
        click.echo(json.dumps(told, indent=1))
        return
    asked = money(told["amount_minor"], told["currency"])
    click.echo(f"The purchase of cart {told['cart_id']} is {_state(told)}.")
    click.echo(f"Asked for {asked}, paid {_paid(told)}, paid back {_back(told)}.")
    back = {one["line"]: one["quantity"] for one in told["returned"]}
    for place, line in enumerate(told["quote"]["lines"]):
        came = f", {back[place]} came back" if place in back else ""
        click.echo(f"  line {place}: {line['quantity']} of {line.get('name') or line['sku']}{came}")
    for name in ("review", "refused"):
        if told[name]:
            click.echo(f"{name}: {told[name]}")
    for one in told["refunds"]:
        why = f" ({one['note']})" if one["note"] else ""
        click.echo(f"refund of {_of(told, one['amount_minor'])}: {one['state']}{why}")
    for one in told["disputes"]:
        click.echo(f"dispute of {_of(told, one['amount_minor'])}: {one['status']}")


@purchases.command()
@purchase_argument
@click.option("--amount-minor", type=click.IntRange(min=1), help="Minor units; all, if not given.")
@reason_option
@key_option
@json_option
def refund(
    purchase_id: UUID, amount_minor: int | None, reason: str, key: str | None, *, in_json: bool
) -> None:
    """Pay a purchase back, whole or in part. It cannot be called back."""
    body = {"reason": reason} | ({} if amount_minor is None else {"amount_minor": amount_minor})
    _pay_back(signed_in(), purchase_id, body, key, in_json=in_json)


@purchases.command()
@purchase_argument
@click.option(
    "--unit",
    "units",
    multiple=True,
    metavar="LINE:COUNT",
    help="So many units of the line at this place, as `show` counts them; may be given again.",
)
@reason_option
@key_option
@json_option
def returned(
    purchase_id: UUID, units: tuple[str, ...], reason: str, key: str | None, *, in_json: bool
) -> None:
    """Pay units that came back at what was paid for them. It cannot be called back."""
    if not units:
        raise Ending(USAGE, "Say which units came back, such as --unit 0:2.")
    body = {"reason": reason, "lines": [_unit(text) for text in units]}
    _pay_back(signed_in(), purchase_id, body, key, in_json=in_json)


def _pay_back(
    api: Api, purchase_id: UUID, body: dict[str, Any], key: str | None, *, in_json: bool
) -> None:
    headers = {"Idempotency-Key": key} if key else {}
    told = api.send("POST", f"/purchases/{purchase_id}/refunds", json=body, headers=headers)
    if in_json:
        click.echo(json.dumps(told, indent=1))
    else:
        asked = _of(told, told["refunds"][-1]["amount_minor"])
        click.echo(f"{asked} of {_paid(told)} goes back to the customer.")


def _unit(text: str) -> dict[str, int]:
    place, colon, count = text.partition(":")
    is_good = colon and all(part.isascii() and part.isdigit() for part in (place, count))
    if not is_good:
        raise Ending(USAGE, f"Give --unit as LINE:COUNT, such as 0:2, and not {text!r}.")
    return {"line": int(place), "quantity": int(count)}


def _of(told: dict[str, Any], minor: int) -> str:
    return money(minor, told["paid_currency"] or told["currency"])


def _paid(told: dict[str, Any]) -> str:
    return "nothing" if told["paid_minor"] is None else _of(told, told["paid_minor"])


def _back(told: dict[str, Any]) -> str:
    return _of(told, told["refunded_minor"])


def _state(told: dict[str, Any]) -> str:
    state: str = told["state"]
    return f"{state}, disputed" if told["is_disputed"] else state
