"""What a vendor sells, in words: pure."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from web.console.formats import moment, money
from web.console.job_words import StateWords

VALUES_SHOWN = 4
_LISTED = StateWords("Listed", "check", "good")
_GONE = StateWords("Not listed any more", "cross", "bad")


@dataclass(frozen=True, slots=True)
class ProductWords:
    """One product as the vendor's page says it."""

    product: str
    name: str
    state: StateWords
    values: str
    cost: str
    before: str | None
    seen: str


def product_words(row: Row[Any]) -> ProductWords:
    changed = row.cost_changed_at is not None
    was = cost_words(row.was_cost_bp, row.was_cost_flat_minor, row.cost_currency or row.currency)
    return ProductWords(
        row.product,
        row.name,
        _GONE if row.vanished_at else _LISTED,
        _values(row),
        cost_words(row.cost_bp, row.cost_flat_minor, row.cost_currency or row.currency),
        f"Before {moment(row.cost_changed_at)}: {was}" if changed else None,
        moment(row.seen_at),
    )


def _values(row: Row[Any]) -> str:
    """`$1.00 to $500.00`, or the first few of those it is sold at."""
    if row.fixed_minor:
        shown = [money(value, row.currency) for value in row.fixed_minor[:VALUES_SHOWN]]
        more = len(row.fixed_minor) - len(shown)
        return ", ".join(shown) + (f" and {more} more" if more else "")
    if row.least_minor is None or row.most_minor is None:
        return "Not told"
    return f"{money(row.least_minor, row.currency)} to {money(row.most_minor, row.currency)}"


def cost_words(share_bp: int | None, flat_minor: int | None, currency: str) -> str:
    """`94.5 % of the value and $0.10`."""
    if share_bp is None:
        return "Not told"
    share = f"{share_bp / 100:g} % of the value"
    return f"{share} and {money(flat_minor, currency)}" if flat_minor else share
