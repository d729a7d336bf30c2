"""An amount as somebody types it into a form."""

from flask import request

from pipelines.currencies import exponent
from pipelines.jobs.cells import NOT_POSITIVE, CellProblem, read_decimal

FIELD_CHARACTERS_MAX = 40


def typed_amount(field: str) -> str:
    """What stands in the field, as it is shown again."""
    return request.form.get(field, "").strip()[:FIELD_CHARACTERS_MAX]


def amount_of(
    field: str, currency: str, errors: dict[str, str], *, may_be_empty: bool
) -> int | None:
    """The amount in minor units, more than zero unless it `may_be_empty`.

    None for an empty field, and for what is no amount: then `errors` says why.
    """
    text = typed_amount(field)
    if not text and may_be_empty:
        return None
    value = read_decimal(text, exponent=exponent(currency))
    if value == 0 and not may_be_empty:
        value = NOT_POSITIVE
    if isinstance(value, CellProblem):
        errors[field] = value.detail
        return None
    return value


def whole_of(
    field: str, highest: int, errors: dict[str, str], *, may_be_empty: bool = True
) -> int | None:
    """A whole number up to `highest`; None for an empty field, and with why in `errors`."""
    text = typed_amount(field)
    if not text and may_be_empty:
        return None
    lowest = 0 if may_be_empty else 1
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(highest))
    if not is_number or not lowest <= int(text) <= highest:
        errors[field] = f"Give a whole number from {lowest} to {highest:,}."
        return None
    return int(text)
