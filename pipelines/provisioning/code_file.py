"""Read a file of redemption codes: each row's index, never kept as text; one wrong row refuses it."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO
from uuid import UUID

from pipelines.errors import FieldError, ValidationFailed
from pipelines.jobs.cells import CellProblem
from pipelines.jobs.csv_reader import CsvRowError, TooManyRows, open_csv
from pipelines.limits import Limits
from pipelines.provisioning.code_rows import COLUMNS, check_code
from pipelines.provisioning.redemption_index import redemption_index
from pipelines.sealing import Keyring

CODES_PER_FILE_MAX = 100_000
#: A hundred thousand codes and their line ends.
FILE_BYTES_MAX = 8 * 1024 * 1024
#: Problems and rows that an answer lists one by one; all are counted.
LISTED_MAX = 100
_ROWS_AT_ONCE = 10_000
#: What the names of an audit entry's facts about rows end with.
_ROWS = "_rows"


@dataclass(frozen=True, slots=True)
class CodeFile:
    """The row of each different code by its index; the codes, for judging how they were made."""

    rows: dict[bytes, int]
    codes: list[str]
    #: Rows whose code stands in the file before.
    repeated: list[int]


def read_codes(
    stream: BinaryIO, campaign_id: UUID, *, keyring: Keyring, limits: Limits
) -> CodeFile:
    """Raises `ValidationFailed` with the rows that are no codes, and what the CSV reader refuses."""
    found = CodeFile({}, [], [])
    problems: list[FieldError] = []
    for row in open_csv(stream, columns=COLUMNS, limits=limits):
        if row.number > CODES_PER_FILE_MAX:
            raise TooManyRows(f"A file may have {CODES_PER_FILE_MAX} codes; split it into several.")
        if isinstance(row, CsvRowError):
            problems.append(row.as_field_error())
            continue
        code = check_code(row.cells["redemption_code"])
        if isinstance(code, CellProblem):
            problems.append(
                FieldError(code.code, code.detail, row=row.number, field="redemption_code")
            )
            continue
        index = redemption_index(code, campaign_id, keyring)
        if index in found.rows:
            found.repeated.append(row.number)
        else:
            found.rows[index] = row.number
            found.codes.append(code)
    refuse_rows(problems)
    return found


def refuse_rows(problems: list[FieldError]) -> None:
    """Raise `ValidationFailed` if a row is wrong."""
    if problems:
        raise ValidationFailed(
            errors=tuple(problems[:LISTED_MAX]), extra={"error_count": len(problems)}
        )


def in_parts(indexes: Collection[bytes]) -> Iterator[list[bytes]]:
    """In one order everywhere, so that two files with the same codes do not wait for each other."""
    ordered = sorted(indexes)
    for start in range(0, len(ordered), _ROWS_AT_ONCE):
        yield ordered[start : start + _ROWS_AT_ONCE]


def rows_by_reason(listed: Collection[tuple[int, str]]) -> dict[str, str]:
    """The listed rows as facts of an audit entry: `{"already_loaded_rows": "1 4"}`."""
    reasons = sorted({code for _, code in listed})
    return {
        f"{reason}{_ROWS}": " ".join(str(row) for row, code in listed if code == reason)
        for reason in reasons
    }


def listed_rows(detail: Mapping[str, Any]) -> tuple[tuple[int, str], ...]:
    """The rows of such an entry again, by number."""
    return tuple(
        sorted(
            (int(row), name.removesuffix(_ROWS))
            for name, rows in detail.items()
            if name.endswith(_ROWS)
            for row in rows.split()
        )
    )
