"""The commands of discount codes, through the API: look at them, make them, pause and put them away."""

import json
from typing import Any
from uuid import UUID

import click
from rich.console import Console
from rich.table import Table

from ops.commands.discount_rules import rule_options, rules_body
from ops.commands.engine import json_option
from ops.commands.working import signed_in
from pipelines.currencies import money
from pipelines.discounts.read import Standing

discount_argument = click.argument("discount_id", type=click.UUID)


SHOWN_AS_THEY_ARE = (
    *("max_uses_per_customer", "starts_at", "expires_at"),
    *("restore_on_refund", "on_late", "watch_leaks"),
)


@click.group()
def discounts() -> None:
    """Look at discount codes, make them, pause them. Needs LARGESSE_TOKEN."""


@discounts.command("list")
@click.option("--code", help="Only codes that begin so.")
@click.option("--batch", type=click.UUID, help="Only those of this batch: the id of their job.")
@click.option(
    "--standing",
    type=click.Choice([standing.value for standing in Standing if standing != Standing.DRAINING]),
    help="Only those that stand so.",
)
@json_option
def list_discounts(
    code: str | None, batch: UUID | None, standing: str | None, *, in_json: bool
) -> None:
    """List the youngest hundred with how often they are used."""
    wanted = {"code": code, "batch_id": batch and str(batch), "standing": standing}
    query = {name: value for name, value in wanted.items() if value}
    answer = signed_in().get("/discounts", limit="100", **query)
    if in_json:
        click.echo(json.dumps(answer, indent=1))
    elif not answer["data"]:
        click.echo("No discount codes.")
    else:
        table = Table("id", "code", "takes off", "used", "standing", box=None, pad_edge=False)
        for told in answer["data"]:
            table.add_row(told["id"], told["code"], _off(told), _uses(told), told["standing"])
        Console(width=160).print(table, markup=False)


@discounts.command()
@discount_argument
@json_option
def show(discount_id: UUID, *, in_json: bool) -> None:
    """Show one code: its rules, and how often it is used."""
    told = signed_in().get(f"/discounts/{discount_id}")
    if in_json:
        click.echo(json.dumps(told, indent=1))
        return
    click.echo(f"{told['code']} takes off {_off(told)}, and is {told['standing']}.")
    click.echo(f"Used {_uses(told)}, {told['reserved']} of them not paid yet.")
    if told["is_assigned"]:
        click.echo(f"For one customer alone; {told['others_tried']} others tried it.")
    if told["min_subtotal_minor"] is not None:
        click.echo(f"From {money(told['min_subtotal_minor'], told['currency'])} on.")
    if told["products"]:
        click.echo(f"For {', '.join(told['products'])} alone.")
    if told["stacking_group"] is not None:
        click.echo(f"Goes with codes of other groups than {told['stacking_group']}.")
    if told["first_order_only"]:
        click.echo("For a customer's first purchase alone.")
    for name in SHOWN_AS_THEY_ARE:
        if told[name] is not None:
            click.echo(f"{name}: {told[name]}")


@discounts.command()
@click.argument("code")
@click.option("--assigned-to", help="Only for the customer with this e-mail address.")
@click.option(
    "--assigned-external-id", help="Only for whom the client knows by this id of its own."
)
@rule_options
def create(
    code: str, assigned_to: str | None, assigned_external_id: str | None, **given: Any
) -> None:
    """Make a code and print its id."""
    body = rules_body(**given) | {"code": code}
    named = {"email": assigned_to, "external_id": assigned_external_id}
    if whom := {name: value for name, value in named.items() if value}:
        body["assigned_to"] = whom
    click.echo(signed_in().send("POST", "/discounts", json=body)["id"])


@discounts.command()
@discount_argument
def pause(discount_id: UUID) -> None:
    """Take no new reservations; those that are there may be paid."""
    _moved(signed_in().send("POST", f"/discounts/{discount_id}/pause"))


@discounts.command()
@discount_argument
def resume(discount_id: UUID) -> None:
    """Take new reservations again."""
    _moved(signed_in().send("POST", f"/discounts/{discount_id}/resume"))


@discounts.command()
@discount_argument
def archive(discount_id: UUID) -> None:
    """Put a code away for good."""
    _moved(signed_in().send("DELETE", f"/discounts/{discount_id}"))


def _moved(told: dict[str, Any]) -> None:
    click.echo(f"{told['code']} is {told['standing']}.")


def _off(told: dict[str, Any]) -> str:
    tiers = [
        f"{_gives(told, tier)} from {money(tier['from_minor'], told['currency'])}"
        for tier in told["tiers"] or ()
    ]
    return _gives(told, told) + (f" ({', '.join(tiers)})" if tiers else "")


def _gives(told: dict[str, Any], one: dict[str, Any]) -> str:
    """What the code, or one of its tiers, takes off."""
    if told["kind"] == "fixed":
        return money(one["amount_minor"], told["currency"])
    return f"{one['percent_bp'] / 100:g} %"


def _uses(told: dict[str, Any]) -> str:
    most = told["max_uses"]
    return str(told["used"]) if most is None else f"{told['used']} of {most}"
