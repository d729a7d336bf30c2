"""Every row of the page of bad inputs has its test, its issue or its place elsewhere."""

import re
from pathlib import Path

ROWS = {f"B{n:02}" for n in range(1, 63)} | {f"J{n:02}" for n in range(1, 29)}
#: As in `"B05"`, `Bad("B30 zip"` or `def test_b44_…`; a range such as B01-B62 names nothing.
NAMED = re.compile(r"(?:\"|_)([BJbj][0-9]{2})(?=[\" _])")


def test_every_row_of_the_table_is_named_here() -> None:
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("*.py"))

    assert sorted(ROWS - {name.upper() for name in NAMED.findall(text)}) == []
