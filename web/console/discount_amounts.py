"""Amounts and percentages in the fields of a discount code: pure."""

from pipelines.currencies import exponent, is_accepted
from pipelines.discounts.cart import UNIT_MINOR_MAX
from pipelines.discounts.pricing import WHOLE_BP
from pipelines.jobs.cells import CellProblem, read_decimal

NOT_A_PERCENTAGE = "Give a percentage from 0.01 to 100, such as 10 or 12.5."


def amount_of(field: str, text: str, currency: str | None, errors: dict[str, str]) -> int | None:
    """An amount in minor units, more than zero; None for nothing, and with why in `errors`."""
    if not text:
        return None
    if currency is None or not is_accepted(currency):
        errors["currency"] = "Give a currency of ISO 4217, such as USD."
        return None
    read = read_decimal(text, exponent=exponent(currency))
    if isinstance(read, CellProblem):
        errors[field] = read.detail
        return None
    if not 1 <= read <= UNIT_MINOR_MAX:
        errors[field] = "The amount must be more than zero, and not as large as that."
        return None
    return read


def percent_of_text(field: str, text: str, errors: dict[str, str]) -> int | None:
    """A percentage in basis points, with its sign or without; None for nothing, and with why in `errors`."""
    text = text.removesuffix("%").strip()
    if not text:
        return None
    read = read_decimal(text, exponent=2)
    if isinstance(read, CellProblem) or not 1 <= read <= WHOLE_BP:
        errors[field] = NOT_A_PERCENTAGE
        return None
    return read
