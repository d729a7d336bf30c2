"""What a discount code does, as options of the commands that make one or many."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from models.discounts import OnLate, Restores
from ops.commands.ending import USAGE, Ending

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--percent", type=float, help="Such as 10 or 12.5."),
    click.option(
        "--amount-minor", type=click.IntRange(min=1), help="With --currency: minor units."
    ),
    click.option("--currency", help="Of amounts, such as USD."),
    click.option("--max-uses", type=click.IntRange(min=1), help="How many customers in all."),
    click.option(
        "--max-uses-per-customer",
        type=click.IntRange(min=0),
        default=1,
        show_default=True,
        help="0: as often as they like.",
    ),
    click.option("--max-discount-minor", type=click.IntRange(min=1), help="With --percent."),
    click.option("--min-subtotal-minor", type=click.IntRange(min=1), help="With --currency."),
    click.option(
        "--tier",
        "tiers",
        multiple=True,
        metavar="FROM_MINOR:GIVES",
        help="Spend more, save more: from which amount on it is so many percent, or minor units; "
        "may be given again.",
    ),
    click.option("--product", "products", multiple=True, help="A SKU; may be given again."),
    click.option("--stacking-group", help="Goes on one cart with codes of other groups."),
    click.option("--starts-at", help="RFC 3339, with a zone."),
    click.option("--expires-at", help="RFC 3339, with a zone."),
    click.option("--first-order-only", is_flag=True, default=None, help="For a first purchase."),
    click.option(
        "--restore-on-refund",
        type=click.Choice([one.value for one in Restores]),
        help="What a refund of all gives back; nothing, if not said.",
    ),
    click.option(
        "--on-late",
        type=click.Choice([one.value for one in OnLate]),
        help="A payment whose slot is gone; confirm, if not said.",
    ),
    click.option(
        "--watch-leaks/--no-watch-leaks", default=None, help="Pause it if it seems to have leaked."
    ),
    click.option("--client", help="Of which client, for who sees several."),
)


def rule_options(command: Command) -> Command:
    """Give a command the options of rules and limits, which `rules_body` reads."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def rules_body(
    percent: float | None, products: tuple[str, ...], tiers: tuple[str, ...], **given: Any
) -> dict[str, Any]:
    """The members of a body that say what a code does."""
    body: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    body["kind"] = "fixed" if percent is None else "percent"
    if percent is not None:
        body["percent_bp"] = basis_points(percent, "--percent")
    if tiers:
        body["tiers"] = [_tier(tier, is_percent=percent is not None) for tier in tiers]
    if products:
        body["products"] = list(products)
    if given["max_uses_per_customer"] == 0:
        body["max_uses_per_customer"] = None
    if "client" in body:
        body["client_id"] = body.pop("client")
    return body


def _tier(text: str, *, is_percent: bool) -> dict[str, int]:
    """`10000:15` of a percentage, `10000:1500` of an amount."""
    begins, _, gives = text.partition(":")
    try:
        if is_percent:
            return {"from_minor": int(begins), "percent_bp": basis_points(float(gives), "--tier")}
        return {"from_minor": int(begins), "amount_minor": int(gives)}
    except (ValueError, OverflowError):
        example = "10000:15 for 15 percent" if is_percent else "10000:1500"
        raise Ending(USAGE, f"Give --tier as FROM_MINOR:GIVES, such as {example}.") from None


def basis_points(percent: float, option: str) -> int:
    basis_points = round(percent * 100)
    if abs(percent * 100 - basis_points) > 1e-6:
        raise Ending(USAGE, f"Give {option} with two decimals at most, such as 12.5.")
    return basis_points
