"""Judge one row of a card file: number, PIN, expiry, cost. No verdict ever shows a value."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from pipelines.errors import FieldError
from pipelines.jobs.cells import (
    FORBIDDEN_IN_IDENTIFIERS,
    ILLEGAL_CHARACTER,
    CellProblem,
    read_minor,
)
from pipelines.jobs.csv_reader import ColumnRules
from pipelines.sealing import Secret

COLUMNS = ColumnRules(required=("card_number",), optional=("pin", "expires_on", "cost_minor"))
CODE_CHARACTERS_MIN = 4
CODE_CHARACTERS_MAX = 64
YEAR_MAX = 2099

_CODE_CHARACTERS = re.compile(r"[A-Za-z0-9-]*")
_PIN = re.compile(r"[0-9]{4,8}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
#: What a spreadsheet makes of a long number: 1.23E+15, or its last digits replaced by zeros.
_SCIENTIFIC = re.compile(r"[0-9](?:[.,][0-9]*)?[Ee]\+[0-9]{1,3}")
_ROUNDED = re.compile(r"[0-9]{12,}000")

REQUIRED = CellProblem("required", "This value is required.")
CODE_CHARSET = CellProblem("code_charset", "A code has letters A-Z, digits and hyphens only.")
CODE_LENGTH = CellProblem(
    "code_length", f"A code has {CODE_CHARACTERS_MIN} to {CODE_CHARACTERS_MAX} characters."
)
DAMAGED = CellProblem(
    "looks_like_spreadsheet_damage",
    "A spreadsheet seems to have rounded this number; format the column as text and export again.",
)
INVALID_PIN = CellProblem("invalid_pin", "A PIN has 4 to 8 digits.")
INVALID_DATE = CellProblem("invalid_date", f"Write the date as YYYY-MM-DD, up to {YEAR_MAX}.")
ALREADY_EXPIRED = CellProblem("already_expired", "The card has already expired.")


class Warn(StrEnum):
    """What a person should look at; the row itself is accepted."""

    LOOKS_LIKE_SPREADSHEET_DAMAGE = "looks_like_spreadsheet_damage"


@dataclass(frozen=True, slots=True)
class CardRules:
    """What the pool and the brand ask of each card."""

    today: date
    pin_required: bool = False
    #: Abort mode refuses a number that looks rounded; skip mode takes it with a warning.
    refuse_damage: bool = True
    default_cost_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """One accepted card, its number in canonical form."""

    number: Secret
    pin: Secret | None
    expires_on: date | None
    cost_minor: int | None
    warnings: tuple[Warn, ...] = ()


def check_card(
    cells: Mapping[str, str], *, rules: CardRules, row: int | None = None
) -> Card | tuple[FieldError, ...]:
    """The card, or everything wrong with its row."""
    number = _number(cells.get("card_number", ""), rules)
    pin = _pin(cells.get("pin", ""), rules)
    expires_on = _expiry(cells.get("expires_on", ""), rules)
    cost_minor = _cost(cells.get("cost_minor", ""), rules)
    if (
        isinstance(number, CellProblem)
        or isinstance(pin, CellProblem)
        or isinstance(expires_on, CellProblem)
        or isinstance(cost_minor, CellProblem)
    ):
        return _errors(
            row, card_number=number, pin=pin, expires_on=expires_on, cost_minor=cost_minor
        )
    warnings = (Warn.LOOKS_LIKE_SPREADSHEET_DAMAGE,) * bool(_ROUNDED.fullmatch(number))
    secret_pin = None if pin is None else Secret(pin)
    return Card(Secret(number), secret_pin, expires_on, cost_minor, warnings)


def _errors(row: int | None, **verdicts: object) -> tuple[FieldError, ...]:
    return tuple(
        FieldError(problem.code, problem.detail, pointer=f"/{field}", row=row, field=field)
        for field, problem in verdicts.items()
        if isinstance(problem, CellProblem)
    )


def canonical_code(text: str) -> str | CellProblem:
    """The one spelling of a code: width unified, spaces removed, upper case.

    Characters nobody sees, and letters of other scripts, are refused and not mended: two codes
    must not become one.
    """
    if FORBIDDEN_IN_IDENTIFIERS.search(text):
        return ILLEGAL_CHARACTER
    code = unicodedata.normalize("NFKC", text).replace(" ", "")
    if not code:
        return REQUIRED
    if not _CODE_CHARACTERS.fullmatch(code):
        return CODE_CHARSET
    if not CODE_CHARACTERS_MIN <= len(code) <= CODE_CHARACTERS_MAX:
        return CODE_LENGTH
    return code.upper()


def _number(text: str, rules: CardRules) -> str | CellProblem:
    if _SCIENTIFIC.fullmatch(text.strip(" ")):
        return DAMAGED
    number = canonical_code(text)
    if isinstance(number, str) and rules.refuse_damage and _ROUNDED.fullmatch(number):
        return DAMAGED
    return number


def _pin(text: str, rules: CardRules) -> str | CellProblem | None:
    text = text.strip(" ")
    if not text:
        return INVALID_PIN if rules.pin_required else None
    return text if _PIN.fullmatch(text) else INVALID_PIN


def _expiry(text: str, rules: CardRules) -> date | CellProblem | None:
    """The last day of use; today still counts."""
    text = text.strip(" ")
    if not text:
        return None
    if not _DATE.fullmatch(text):
        return INVALID_DATE
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return INVALID_DATE
    if day.year > YEAR_MAX:
        return INVALID_DATE
    return ALREADY_EXPIRED if day < rules.today else day


def _cost(text: str, rules: CardRules) -> int | CellProblem | None:
    """Cards may have cost nothing."""
    return read_minor(text) if text else rules.default_cost_minor
