"""What a cell may hold: characters, whole minor units, decimals, times. Never echoes the value."""

import re
from dataclasses import dataclass
from datetime import datetime

#: C0 controls and DEL that no cell may hold; tabs and line breaks are text.
FORBIDDEN_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
#: What an identifier (e-mail, code, reference) may not hold in addition; CR, LF and TAB are
#: left to the identifier's own rule, which names the field.
FORBIDDEN_IN_IDENTIFIERS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x85\u2028\u2029]")

MINOR_DIGITS_MAX = 13
WHOLE_DIGITS_MAX = 10
#: A number with a minus, in whatever form it came.
_NEGATIVE = re.compile(r"-[0-9]+(?:\.[0-9]+)?")
_MINOR = re.compile(r"0|[1-9][0-9]*")
_DECIMAL = re.compile(r"(0|[1-9][0-9]*)(?:\.([0-9]+))?")
_STAMP = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?(?P<zone>[Zz]|[+-]\d{2}:\d{2})?", re.ASCII
)
#: Of times that are kept: beyond them is a typing mistake, and some cannot be shown.
YEARS = range(2000, 2100)
OUT_OF_YEARS = f"Give a time of the years {YEARS[0]} to {YEARS[-1]}."


@dataclass(frozen=True, slots=True)
class CellProblem:
    """Why a cell was refused: a stable code and a sentence without the value."""

    code: str
    detail: str


ILLEGAL_CHARACTER = CellProblem("illegal_character", "The value has control characters.")
NOT_MINOR_UNITS = CellProblem(
    "invalid_amount", "Give the amount in minor units: digits only, no sign, point or exponent."
)
NOT_AN_AMOUNT = CellProblem(
    "invalid_amount", "Give the amount as digits with an optional point, such as 25 or 25.50."
)
NEGATIVE = CellProblem(
    "invalid_amount", "An amount is never negative: give it without a minus, such as 25."
)
NOT_POSITIVE = CellProblem("amount_not_positive", "The amount must be more than zero.")
OUT_OF_RANGE = CellProblem("amount_out_of_range", "The amount is too large.")
NO_TIME = CellProblem("invalid_timestamp", "Give a time such as 2027-01-31T09:00:00Z.")
NO_ZONE = CellProblem("timezone_required", "Give the time with its zone, such as Z or +02:00.")


def read_minor(value: str | int) -> int | CellProblem:
    """A `*_minor` value: digits in CSV, an integer in JSON; zero is for the caller to judge."""
    if isinstance(value, bool):
        return NOT_MINOR_UNITS
    if isinstance(value, int):
        if value < 0:
            return NEGATIVE
        return value if value < 10**MINOR_DIGITS_MAX else OUT_OF_RANGE
    if not _MINOR.fullmatch(value):
        return NEGATIVE if _NEGATIVE.fullmatch(value) else NOT_MINOR_UNITS
    return int(value) if len(value) <= MINOR_DIGITS_MAX else OUT_OF_RANGE


def read_decimal(value: str, *, exponent: int) -> int | CellProblem:
    """A decimal `amount` in minor units of a currency with `exponent` digits; never rounded."""
    match = _DECIMAL.fullmatch(value)
    if match is None:
        return NEGATIVE if _NEGATIVE.fullmatch(value) else NOT_AN_AMOUNT
    whole, fraction = match[1], match[2] or ""
    if len(whole) > WHOLE_DIGITS_MAX:
        return OUT_OF_RANGE
    if len(fraction) > exponent:
        detail = f"The currency has {exponent} digits after the point; the amount has more."
        return CellProblem("invalid_precision", detail)
    return int(whole + fraction.ljust(exponent, "0"))


def read_stamp(value: str) -> datetime | CellProblem:
    """An RFC 3339 time with its zone; its year is for the caller to judge."""
    match = _STAMP.fullmatch(value)
    if match is None:
        return NO_TIME
    if match["zone"] is None:
        return NO_ZONE
    try:
        return datetime.fromisoformat(value.upper())
    except ValueError:
        return NO_TIME
