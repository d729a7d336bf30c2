"""What every row of the table of bad inputs says: its id, its bytes, and the answer it must get."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

#: Rows of the table whose feature is not built yet, with the issue that brings it.
LATER = {
    "B42 currency column": "issue 5: no file names a currency of its own; brands say it",
    "B52 codes of books": "issue 6",
    "B59 external ids of partners' users": "issue 8",
    "J21 webhook URLs": "issue 7",
    "J24 discounts": "issue 7",
    "J25 patterns of books": "issue 6",
    "J27 Stripe signatures": "issue 7",
    "J28 partner tokens": "issue 8",
}
#: Rows that are proven where their size or their rule is at home.
ELSEWHERE = {
    "B28": "tests/rules/test_csv_streams.py holds the memory, `make bench` the million rows",
    "J26": "foreign hosts and forwarded addresses: the tests of trusted hosts",
}


@dataclass(frozen=True, slots=True)
class Bad:
    """One input. `row` is the code of its first row's error where the file itself can be read."""

    id: str
    made: Callable[[], bytes] | bytes
    status: int = 422
    code: str = "rows_refused"
    row: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        """Large ones are made when they are asked for."""
        return self.made if isinstance(self.made, bytes) else self.made()


def each(*cases: Bad) -> pytest.MarkDecorator:
    """One test per row, named after it."""
    return pytest.mark.parametrize("bad", cases, ids=[case.id for case in cases])


def bad_row(identity: str, code: str, text: str) -> Bad:
    """A file whose header is `email,name,amount` and whose one row is wrong."""
    return Bad(identity, f"email,name,amount\n{text}\n".encode(), row=code)


def bad_cell(identity: str, column: str, cell: str, code: str) -> Bad:
    """A file with one wrong cell, quoted."""
    cells = {"email": "ann@x.de", "name": "Ann", "amount": "25"} | {column: cell}
    quoted = ",".join('"{}"'.format(value.replace('"', '""')) for value in cells.values())
    return bad_row(f"{identity} {ascii(cell)[:40]}", code, quoted)
