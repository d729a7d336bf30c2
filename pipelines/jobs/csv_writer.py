"""Write CSV that a spreadsheet cannot take for formulas, one block at a time."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

#: Characters that make a spreadsheet (or what reads after it) treat a cell as more than text.
TRIGGERS = "=+-@\t\r\n|%\0＝＋－＠"
#: Apostrophes before the trigger count, so that reading drops exactly the one we added.
NEEDS_GUARD = re.compile(f"'*[{re.escape(TRIGGERS)}]")
BLOCK_CHARACTERS = 64 * 1024
BYTE_ORDER_MARK = "\ufeff"


def csv_blocks(
    header: Sequence[str], rows: Iterable[Sequence[str | int | None]]
) -> Iterator[bytes]:
    """The table as UTF-8 blocks of about 64 KiB; memory does not grow with the rows.

    It begins with a byte order mark, or spreadsheets take accented names for another encoding.
    Text is quoted and guarded. Integers are the typed numeric columns: they stay as they are.
    """
    buffer = io.StringIO(newline="")
    buffer.write(BYTE_ORDER_MARK)
    write = csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow
    write([guarded(name) for name in header])
    for row in rows:
        write([guarded(cell) if isinstance(cell, str) else cell for cell in row])
        if buffer.tell() >= BLOCK_CHARACTERS:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def guarded(cell: str) -> str:
    """`cell`, with a leading apostrophe if a spreadsheet would run it."""
    return f"'{cell}" if NEEDS_GUARD.match(cell) else cell


def unguarded(cell: str) -> str:
    """`cell` without the one apostrophe that `guarded` puts before a trigger."""
    return cell[1:] if cell[:1] == "'" and NEEDS_GUARD.match(cell) else cell
