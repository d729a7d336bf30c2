"""Judge one row of a file of discount codes: the code, what it does, and how often (EC-024)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from models.discounts import OnLate, Restores
from pipelines.books.codes import read_code
from pipelines.discounts.cart import SKU_CHARACTERS_MAX, UNIT_MINOR_MAX
from pipelines.discounts.options import USUAL, CodeOptions
from pipelines.discounts.pricing import WHOLE_BP
from pipelines.discounts.rule_checks import contradictions
from pipelines.discounts.rules import DiscountKind, DiscountRules
from pipelines.errors import FieldError
from pipelines.jobs.cells import (
    NOT_POSITIVE,
    OUT_OF_RANGE,
    OUT_OF_YEARS,
    YEARS,
    CellProblem,
    read_minor,
    read_stamp,
)
from pipelines.jobs.csv_reader import ColumnRules
from pipelines.limits import Limits

COLUMNS = ColumnRules(
    required=("code", "kind"),
    optional=(
        *("percent_bp", "amount_minor", "currency", "max_discount_minor", "min_subtotal_minor"),
        *("products", "starts_at", "expires_at", "max_uses", "max_uses_per_customer"),
        *("first_order_only", "restore_on_refund", "on_late", "watch_leaks"),
    ),
)
#: Stands between SKUs in one cell.
BETWEEN = ";"
PRODUCTS_MAX = 500
USES_MAX = 2**31 - 1
#: How often one customer may use a code when nobody says otherwise.
USES_PER_CUSTOMER = 1
FLAGS = ("true", "false")
_WHOLE = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)

NO_KIND = CellProblem("choice", f"Give one of: {', '.join(DiscountKind)}.")
NO_FLAG = CellProblem("choice", "Give true or false.")
NO_NUMBER = CellProblem("invalid_number", "Give a whole number in digits.")
NO_SKU = CellProblem(
    "too_long", f"A product's SKU has 1 to {SKU_CHARACTERS_MAX} characters, {BETWEEN} between two."
)
TOO_MANY_PRODUCTS = CellProblem("too_long", f"At most {PRODUCTS_MAX} products.")
BEYOND_YEARS = CellProblem("invalid_timestamp", OUT_OF_YEARS)


@dataclass(frozen=True, slots=True)
class CodeRow:
    """A code as it will be kept; a limit of None is none."""

    code: str
    rules: DiscountRules
    max_uses: int | None = None
    max_uses_per_customer: int | None = USES_PER_CUSTOMER
    options: CodeOptions = USUAL


class _Wrong(Exception):
    """A cell of the row is no good."""

    def __init__(self, field: str, problem: CellProblem) -> None:
        super().__init__(field)
        self.error = FieldError(problem.code, problem.detail, field=field)


def of_codes(limits: Limits) -> Limits:
    """The limits for a file of codes, which has fewer rows than others."""
    return replace(limits, csv_rows_max=limits.discount_codes_at_once_max)


def check_row(cells: Mapping[str, str]) -> CodeRow | FieldError:
    """The row, or the first thing that is wrong with it; an empty cell is as one that is not there."""
    told = {name: cell.strip() for name, cell in cells.items()}
    try:
        code = _good("code", read_code(told["code"]))
        rules = _rules(told)
        wrong = contradictions(rules)
        if wrong:
            first = wrong[0]
            return FieldError(first.code, first.detail, field=(first.pointer or "").lstrip("/"))
        per_customer = _number(told, "max_uses_per_customer", low=0, high=USES_MAX)
        return CodeRow(
            code,
            rules,
            _number(told, "max_uses", low=1, high=USES_MAX),
            # Nought is without a limit, as an empty cell is for `max_uses`.
            USES_PER_CUSTOMER if per_customer is None else per_customer or None,
            _options(told),
        )
    except _Wrong as wrong_cell:
        return wrong_cell.error


def _rules(told: Mapping[str, str]) -> DiscountRules:
    if told["kind"] not in set(DiscountKind):
        raise _Wrong("kind", NO_KIND)
    return DiscountRules(
        DiscountKind(told["kind"]),
        percent_bp=_number(told, "percent_bp", low=1, high=WHOLE_BP),
        amount_minor=_amount(told, "amount_minor"),
        currency=told.get("currency") or None,
        max_discount_minor=_amount(told, "max_discount_minor"),
        min_subtotal_minor=_amount(told, "min_subtotal_minor"),
        products=_products(told.get("products", "")),
        first_order_only=_flag(told, "first_order_only", default=False),
        starts_at=_time(told, "starts_at"),
        expires_at=_time(told, "expires_at"),
    )


def _options(told: Mapping[str, str]) -> CodeOptions:
    words = {
        name: _word(told, name, choices)
        for name, choices in (("restore_on_refund", Restores), ("on_late", OnLate))
        if told.get(name)
    }
    return CodeOptions(watch_leaks=_flag(told, "watch_leaks", default=True), **words)


def _word(told: Mapping[str, str], field: str, choices: type[StrEnum]) -> str:
    if told[field] not in set(choices):
        raise _Wrong(field, CellProblem("choice", f"Give one of: {', '.join(choices)}."))
    return told[field]


def _flag(told: Mapping[str, str], field: str, *, default: bool) -> bool:
    cell = told.get(field)
    if not cell:
        return default
    if cell.lower() not in FLAGS:
        raise _Wrong(field, NO_FLAG)
    return cell.lower() == "true"


def _good(field: str, read: str | CellProblem) -> str:
    if isinstance(read, CellProblem):
        raise _Wrong(field, read)
    return read


def _number(told: Mapping[str, str], field: str, *, low: int, high: int) -> int | None:
    cell = told.get(field)
    if not cell:
        return None
    if not _WHOLE.fullmatch(cell):
        raise _Wrong(field, NO_NUMBER)
    if not low <= int(cell) <= high:
        raise _Wrong(field, CellProblem("out_of_range", f"Give {low} to {high}."))
    return int(cell)


def _amount(told: Mapping[str, str], field: str) -> int | None:
    cell = told.get(field)
    if not cell:
        return None
    read = read_minor(cell)
    if isinstance(read, CellProblem):
        raise _Wrong(field, read)
    if not 0 < read <= UNIT_MINOR_MAX:
        raise _Wrong(field, OUT_OF_RANGE if read else NOT_POSITIVE)
    return read


def _time(told: Mapping[str, str], field: str) -> datetime | None:
    cell = told.get(field)
    if not cell:
        return None
    read = read_stamp(cell)
    if isinstance(read, CellProblem):
        raise _Wrong(field, read)
    if read.year not in YEARS:
        raise _Wrong(field, BEYOND_YEARS)
    return read


def _products(cell: str) -> tuple[str, ...] | None:
    if not cell:
        return None
    skus = tuple(sku.strip() for sku in cell.split(BETWEEN))
    if any(not 0 < len(sku) <= SKU_CHARACTERS_MAX for sku in skus):
        raise _Wrong("products", NO_SKU)
    if len(skus) > PRODUCTS_MAX:
        raise _Wrong("products", TOO_MANY_PRODUCTS)
    return skus
