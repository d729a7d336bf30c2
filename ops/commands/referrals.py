"""The commands of referral programs, through the API: make them, give codes, look at rewards (S2-128)."""

import json
from typing import Any
from uuid import UUID

import click
from rich.console import Console
from rich.table import Table

from models.referrals import RewardState
from ops.commands.discount_rules import basis_points
from ops.commands.ending import USAGE, Ending
from ops.commands.engine import json_option
from ops.commands.working import signed_in
from pipelines.currencies import money

program_argument = click.argument("program_id", type=click.UUID)


@click.group()
def referrals() -> None:
    """Look at referral programs, make them, give customers codes. Needs LARGESSE_TOKEN."""


@referrals.command("list")
@json_option
def list_programs(*, in_json: bool) -> None:
    """List the youngest hundred."""
    answer = signed_in().get("/referrals/programs", limit="100")
    if in_json:
        click.echo(json.dumps(answer, indent=1))
    elif not answer["data"]:
        click.echo("No referral programs.")
    else:
        table = Table("id", "name", "friend", "referrer", "state", box=None, pad_edge=False)
        for told in answer["data"]:
            parts = (_off(told["friend"]), _off(told["reward"]))
            table.add_row(told["id"], told["name"], *parts, told["state"])
        Console(width=160).print(table, markup=False)


@referrals.command()
@click.argument("name")
@click.option("--friend-percent", type=float, help="What a friend gets, such as 10 or 12.5.")
@click.option("--friend-minor", type=click.IntRange(min=1), help="The same in minor units.")
@click.option("--reward-percent", type=float, help="What the referrer gets.")
@click.option("--reward-minor", type=click.IntRange(min=1), help="The same in minor units.")
@click.option("--currency", help="Of amounts, such as USD.")
@click.option("--hold-days", type=click.IntRange(0), help="14 unless it is said.")
@click.option("--valid-days", type=click.IntRange(1), help="How long a reward is good.")
@click.option("--max-rewards", type=click.IntRange(1), help="Of one referrer.")
@click.option("--prefix", default="", help="How the codes begin.")
@click.option("--client", help="Of which client, for who sees several.")
def create(name: str, prefix: str, currency: str | None, **given: Any) -> None:
    """Make a program and print its id."""
    body: dict[str, Any] = {
        "name": name,
        "pattern": {"prefix": prefix},
        "friend": _part("friend", given, currency),
        "reward": _part("reward", given, currency),
    }
    for option, member in (
        ("hold_days", "hold_days"),
        ("valid_days", "reward_valid_days"),
        ("max_rewards", "max_rewards_per_referrer"),
        ("client", "client_id"),
    ):
        if given[option] is not None:
            body[member] = given[option]
    click.echo(signed_in().send("POST", "/referrals/programs", json=body)["id"])


@referrals.command()
@program_argument
@json_option
def show(program_id: UUID, *, in_json: bool) -> None:
    """Show one program and what came of it."""
    told = signed_in().get(f"/referrals/programs/{program_id}")
    if in_json:
        click.echo(json.dumps(told, indent=1))
        return
    counts = told["counts"]
    click.echo(f"{told['name']} is {told['state']}.")
    click.echo(f"A friend gets {_off(told['friend'])}, the referrer {_off(told['reward'])}.")
    click.echo(f"{counts['codes']} codes, {counts['purchases']} purchases.")
    rewards = ", ".join(f"{counts[state.value]} {state.value}" for state in RewardState)
    click.echo(f"Rewards: {rewards}.")


@referrals.command()
@program_argument
@click.argument("email")
def code(program_id: UUID, email: str) -> None:
    """Print a customer's own code: a new one, or the one that they have."""
    body = {"customer": {"email": email}}
    told = signed_in().send("POST", f"/referrals/programs/{program_id}/codes", json=body)
    click.echo(told["code"])
    if told["standing"] != "active":
        click.echo(f"Do not show it to friends: it is {told['standing']}.", err=True)


@referrals.command()
@program_argument
@click.option("--state", type=click.Choice([state.value for state in RewardState]))
@json_option
def rewards(program_id: UUID, state: str | None, *, in_json: bool) -> None:
    """List the rewards for the newest hundred purchases."""
    query = {"state": state} if state else {}
    answer = signed_in().get(f"/referrals/programs/{program_id}/rewards", limit="100", **query)
    if in_json:
        click.echo(json.dumps(answer, indent=1))
    elif not answer["data"]:
        click.echo("No rewards.")
    else:
        table = Table("purchase", "state", "due", "reward", box=None, pad_edge=False)
        for told in answer["data"]:
            made = told["reward_code"] or ""
            table.add_row(told["id"], told["state"], told["due_at"][:16], made)
        Console(width=160).print(table, markup=False)


def _part(part: str, given: dict[str, Any], currency: str | None) -> dict[str, Any]:
    """A friend's or referrer's part of the body, by the options that say it."""
    percent, minor = given[f"{part}_percent"], given[f"{part}_minor"]
    if (percent is None) == (minor is None):
        raise Ending(USAGE, f"Give --{part}-percent or --{part}-minor.")
    if percent is not None:
        option = f"--{part}-percent"
        return {"kind": "percent", "percent_bp": basis_points(percent, option)}
    return {"kind": "fixed", "amount_minor": minor, "currency": currency}


def _off(part: dict[str, Any]) -> str:
    if part["kind"] == "fixed":
        return money(part["amount_minor"], part["currency"])
    return f"{part['percent_bp'] / 100:g} %"
