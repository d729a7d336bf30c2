"""Read a balance sheet: who has how much, row by row; what a row alone shows to be wrong."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from pipelines.currencies import is_accepted
from pipelines.errors import FieldError
from pipelines.jobs.cells import CellProblem, read_minor
from pipelines.jobs.csv_reader import ColumnRules, CsvRow, CsvRowError

COLUMNS = ColumnRules(
    required=("agency", "client", "campaign", "currency", "balance_minor"),
    optional=("total_minor",),
)
NAME_CHARACTERS_MAX = 200


class SheetTier(StrEnum):
    """Whose credit a row says, from the top."""

    PLATFORM = "platform"
    AGENCY = "agency"
    CLIENT = "client"
    CAMPAIGN = "campaign"


Place = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class SheetRow:
    """Names as given, empty above the row's tier; amounts in minor units.

    `balance` is the entity's own credit, without what is below; `total`, where it is given, with it.
    """

    number: int
    agency: str
    client: str
    campaign: str
    currency: str
    balance: int
    total: int | None

    @property
    def tier(self) -> SheetTier:
        if self.campaign:
            return SheetTier.CAMPAIGN
        if self.client:
            return SheetTier.CLIENT
        return SheetTier.AGENCY if self.agency else SheetTier.PLATFORM

    @property
    def place(self) -> Place:
        return self.currency, self.agency, self.client, self.campaign


@dataclass(frozen=True, slots=True)
class Sheet:
    """What could be read, and everything that is wrong with the rest."""

    rows: list[SheetRow]
    errors: list[FieldError]
    count: int


def read_sheet(lines: Iterable[CsvRow | CsvRowError]) -> Sheet:
    """Every row with its verdict; raises what the reader refuses of a whole file."""
    rows: list[SheetRow] = []
    errors: list[FieldError] = []
    count = 0
    for line in lines:
        count += 1
        read = line.as_field_error() if isinstance(line, CsvRowError) else _row(line)
        if isinstance(read, SheetRow):
            rows.append(read)
        else:
            errors += [read] if isinstance(read, FieldError) else read
    return Sheet(rows, [*errors, *_twice(rows), *_sums(rows)], count)


def totals_below(rows: Iterable[SheetRow]) -> dict[Place, int]:
    """For every place in the sheet what it and all below it have together."""
    sums: dict[Place, int] = {}
    for row in rows:
        names = (row.agency, row.client, row.campaign)
        for depth in range(len([name for name in names if name]) + 1):
            own = tuple(name if at < depth else "" for at, name in enumerate(names))
            place = (row.currency, own[0], own[1], own[2])
            sums[place] = sums.get(place, 0) + row.balance
    return sums


def _row(line: CsvRow) -> SheetRow | list[FieldError]:
    cells = {name: cell.strip(" ") for name, cell in line.cells.items()}
    names = [cells[name] for name in ("agency", "client", "campaign")]
    currency, total = cells["currency"], cells.get("total_minor", "")
    balance = read_minor(cells["balance_minor"])
    whole = read_minor(total) if total else None
    wrong = {
        "agency": _above(names[0], names[1] or names[2]),
        "client": _above(names[1], names[2]),
        "campaign": _name(names[2]),
        "currency": None if is_accepted(currency) else _CURRENCY,
        "balance_minor": balance if isinstance(balance, CellProblem) else None,
        "total_minor": whole if isinstance(whole, CellProblem) else None,
    }
    found = [_error(line.number, field, one) for field, one in wrong.items() if one is not None]
    if found or isinstance(balance, CellProblem) or isinstance(whole, CellProblem):
        return found
    agency, client, campaign = names
    return SheetRow(line.number, agency, client, campaign, currency, balance, whole)


_CURRENCY = CellProblem(
    "invalid_currency", "Write the currency in three capital letters, such as USD."
)


def _above(name: str, below: str) -> CellProblem | None:
    if below and not name:
        return CellProblem("required", "Name whose it is: the column above is empty.")
    return _name(name)


def _name(name: str) -> CellProblem | None:
    if len(name) <= NAME_CHARACTERS_MAX:
        return None
    return CellProblem("too_long", f"A name has at most {NAME_CHARACTERS_MAX} characters.")


def _twice(rows: Iterable[SheetRow]) -> Iterable[FieldError]:
    first: dict[Place, int] = {}
    for row in rows:
        earlier = first.setdefault(row.place, row.number)
        if earlier != row.number:
            detail = f"Row {earlier} says this account's credit already. Keep one of them."
            yield _error(row.number, row.tier.value, CellProblem("duplicate_row", detail))


def _sums(rows: list[SheetRow]) -> Iterable[FieldError]:
    sums = totals_below(rows)
    for row in rows:
        if row.total is not None and row.total != sums[row.place]:
            detail = (
                f"This row and those below it add up to {sums[row.place]} minor units. Correct the "
                "total, or the row that is missing or wrong."
            )
            yield _error(row.number, "total_minor", CellProblem("sum_differs", detail))


def _error(row: int, field: str, problem: CellProblem) -> FieldError:
    return FieldError(problem.code, problem.detail, row=row, field=field)
