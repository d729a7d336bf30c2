"""Read the rows of a vendor's statement, on plain values."""

import re
from dataclasses import dataclass
from uuid import UUID

from pipelines.currencies import exponent, is_accepted
from pipelines.errors import FieldError
from pipelines.jobs.cells import CellProblem, read_decimal
from pipelines.jobs.csv_reader import ColumnRules, CsvRow, CsvRowError

COLUMNS = ColumnRules(
    required=("amount", "currency"),
    optional=("reference", "vendor_order_id"),
    ignore_unknown=True,
)
VENDOR_NUMBER_CHARACTERS_MAX = 100
_REFERENCE = re.compile(r"[0-9a-f]{32}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Sale:
    """One sale as the vendor tells it; the amount in minor units, as the account paid it."""

    row: int
    order_id: UUID | None
    vendor_order_id: str | None
    amount_minor: int
    currency: str


def read_sale(row: CsvRow | CsvRowError) -> Sale | FieldError:
    """The sale, or what is wrong with its row; a reference that is not ours names no order."""
    if isinstance(row, CsvRowError):
        return row.as_field_error()
    cells = row.cells
    reference, number = cells.get("reference", "").strip(), cells.get("vendor_order_id", "").strip()
    currency = cells.get("currency", "").strip().upper()
    if not is_accepted(currency):
        return _wrong(row, "unknown_currency", "Give an ISO 4217 currency.", "currency")
    amount = read_decimal(cells.get("amount", ""), exponent=exponent(currency))
    if isinstance(amount, CellProblem):
        return _wrong(row, amount.code, amount.detail, "amount")
    if not (reference or number) or len(number) > VENDOR_NUMBER_CHARACTERS_MAX:
        sentence = "Give our reference, or the vendor's own number of the order."
        return _wrong(row, "required", sentence, "vendor_order_id")
    order_id = UUID(reference) if _REFERENCE.fullmatch(reference) else None
    return Sale(row.number, order_id, number or None, amount, currency)


def _wrong(row: CsvRow, code: str, detail: str, field: str) -> FieldError:
    return FieldError(code, f"Line {row.line}: {detail}", row=row.number, field=field)
