"""Judge one row of a file of discount codes: the code, what it does, and how often (EC-024)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from models.discounts import OnLate, Restores
from pipelines.books.codes import read_code
from pipelines.discounts.cart import SKU_CHARACTERS_MAX, UNIT_MINOR_MAX
from pipelines.discounts.options import USUAL, CodeOptions
from pipelines.discounts.pricing import WHOLE_BP
from pipelines.discounts.rule_checks import contradictions
from pipelines.discounts.rules import DiscountKind, DiscountRules
from pipelines.discounts.tiers import BEFORE_GIVEN, BETWEEN_TIERS, Tier
from pipelines.errors import FieldError
from pipelines.jobs.addresses import read_email
from pipelines.jobs.cells import (
    FORBIDDEN_IN_IDENTIFIERS,
    ILLEGAL_CHARACTER,
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

#: Stands between SKUs in one cell.
BETWEEN = ";"
PRODUCTS_MAX = 500
COLUMNS = ColumnRules(
    required=("code", "kind"),
    optional=(
        *("percent_bp", "amount_minor", "currency", "max_discount_minor", "min_subtotal_minor"),
        *("products", "starts_at", "expires_at", "max_uses", "max_uses_per_customer", "tiers"),
        *("first_order_only", "restore_on_refund", "on_late", "watch_leaks", "stacking_group"),
        *("assigned_to", "assigned_external_id", "assigned_user_id"),
    ),
    # As many SKUs, and as long, as a code may name over HTTP.
    longer={"products": PRODUCTS_MAX * (SKU_CHARACTERS_MAX + len(BETWEEN))},
)
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
NO_TIERS = CellProblem(
    "invalid_tiers",
    "Give tiers as 10000:1500;20000:2000: from which amount in minor units, and what it gives in "
    "basis points or minor units.",
)
NO_USER = CellProblem("user_not_found", "The client knows nobody by this id.")
BEYOND_YEARS = CellProblem("invalid_timestamp", OUT_OF_YEARS)


@dataclass(frozen=True, slots=True)
class CodeRow:
    """A code as it will be kept; a limit of None is none."""

    code: str
    rules: DiscountRules
    max_uses: int | None = None
    max_uses_per_customer: int | None = USES_PER_CUSTOMER
    options: CodeOptions = USUAL
    #: Whom alone it is for, by what the file says; all None: whoever knows it.
    assigned_email: str | None = None
    assigned_external_id: str | None = None
    assigned_user_id: UUID | None = None

    @property
    def is_assigned(self) -> bool:
        return (
            self.assigned_email or self.assigned_external_id or self.assigned_user_id
        ) is not None


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
            # A cell holds all tiers: the pointer names one of them, the column is the first part.
            column = (first.pointer or "").split("/")[1]
            return FieldError(first.code, first.detail, field=column)
        per_customer = _number(told, "max_uses_per_customer", low=0, high=USES_MAX)
        return CodeRow(
            code,
            rules,
            _number(told, "max_uses", low=1, high=USES_MAX),
            # Nought is without a limit, as an empty cell is for `max_uses`.
            USES_PER_CUSTOMER if per_customer is None else per_customer or None,
            _options(told),
            assigned_email=_email(told),
            assigned_external_id=_external_id(told),
            assigned_user_id=_user_id(told),
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
        stacking_group=told.get("stacking_group") or None,
        first_order_only=_flag(told, "first_order_only", default=False),
        starts_at=_time(told, "starts_at"),
        expires_at=_time(told, "expires_at"),
        tiers=_tiers(told),
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


def _tiers(told: Mapping[str, str]) -> tuple[Tier, ...] | None:
    cell = told.get("tiers")
    if not cell:
        return None
    is_percent = told["kind"] == DiscountKind.PERCENT
    most = WHOLE_BP if is_percent else UNIT_MINOR_MAX
    found = []
    for one in cell.split(BETWEEN_TIERS):
        begins, _, gives = (part.strip() for part in one.partition(BEFORE_GIVEN))
        if not (_WHOLE.fullmatch(begins) and _WHOLE.fullmatch(gives)):
            raise _Wrong("tiers", NO_TIERS)
        if not (1 <= int(begins) <= UNIT_MINOR_MAX and 1 <= int(gives) <= most):
            raise _Wrong("tiers", CellProblem("out_of_range", f"A tier gives 1 to {most}."))
        member = "percent_bp" if is_percent else "amount_minor"
        found.append(Tier(int(begins), **{member: int(gives)}))
    return tuple(found)


def _email(told: Mapping[str, str]) -> str | None:
    cell = told.get("assigned_to")
    if not cell:
        return None
    read = read_email(cell)
    if isinstance(read, CellProblem):
        raise _Wrong("assigned_to", read)
    return read.address


def _external_id(told: Mapping[str, str]) -> str | None:
    cell = told.get("assigned_external_id")
    if cell and FORBIDDEN_IN_IDENTIFIERS.search(cell):
        raise _Wrong("assigned_external_id", ILLEGAL_CHARACTER)
    return cell or None


def _user_id(told: Mapping[str, str]) -> UUID | None:
    cell = told.get("assigned_user_id")
    if not cell:
        return None
    try:
        return UUID(cell)
    except ValueError:
        raise _Wrong("assigned_user_id", NO_USER) from None


def _products(cell: str) -> tuple[str, ...] | None:
    if not cell:
        return None
    skus = tuple(sku.strip() for sku in cell.split(BETWEEN))
    if any(not 0 < len(sku) <= SKU_CHARACTERS_MAX for sku in skus):
        raise _Wrong("products", NO_SKU)
    if len(skus) > PRODUCTS_MAX:
        raise _Wrong("products", TOO_MANY_PRODUCTS)
    return skus
