"""A CSV is read as a stream: bounded memory, bounded bytes, and no bytes that break the reader."""

import io
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import Kind, Refusal
from pipelines.jobs.csv_reader import ColumnRules, CsvRow, CsvRowError, open_csv
from pipelines.limits import DEFAULTS

PEOPLE = ColumnRules(required=("email",), optional=("reference", "name", "amount"))


class Endless(io.RawIOBase):
    """A binary stream made while it is read, so that tests hold no large file."""

    def __init__(self, head, unit, times):
        self._parts = iter((head, *(unit for _ in range(times))))
        self._rest = b""

    def readable(self):
        return True

    def read(self, size=-1):
        while len(self._rest) < size and (part := next(self._parts, None)) is not None:
            self._rest += part
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken


def test_memory_does_not_grow_with_the_rows():
    """B28: the same peak for forty thousand rows as a streamed file needs."""
    stream = Endless(b"email,name\n", b"somebody@company.example,Some Body\n" * 100, 400)
    tracemalloc.start()

    rows = sum(1 for _row in open_csv(stream, columns=PEOPLE))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert rows == 40_000
    assert peak < 1024 * 1024


def test_a_line_without_an_end_is_not_held_in_memory():
    stream = Endless(b"email\n", b"a" * 65_536, 1_000)
    tracemalloc.start()

    with pytest.raises(Refusal) as caught:
        list(open_csv(stream, columns=PEOPLE))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert caught.value.extra == {"reason": "cell_too_long", "line": 2}
    assert peak < 8 * 1024 * 1024


def test_a_byte_above_the_upload_limit_is_too_large():
    """B29."""
    limits = replace(DEFAULTS, upload_bytes_max=20)
    within, above = b"email\n" + b"a" * 13 + b"\n", b"email\n" + b"a" * 14 + b"\n"

    rows = list(open_csv(io.BytesIO(within), columns=PEOPLE, limits=limits))
    with pytest.raises(Refusal) as caught:
        list(open_csv(io.BytesIO(above), columns=PEOPLE, limits=limits))

    assert rows == [CsvRow(1, 2, {"email": "a" * 13})]
    assert (caught.value.code, caught.value.kind) == ("payload_too_large", Kind.TOO_LARGE)


def test_the_callers_stream_stays_open():
    stream = io.BytesIO(b"email\na@x.example\n")

    list(open_csv(stream, columns=PEOPLE))

    assert stream.closed is False


CSV_LIKE = st.text("\"',;=\r\n\t\x00\x1a\u2028aé", max_size=60).map(
    lambda t: f"email,name\n{t}".encode()
)


@given(st.binary(max_size=60) | CSV_LIKE)
def test_any_bytes_give_rows_row_errors_or_a_refusal(content):
    try:
        rows = list(open_csv(io.BytesIO(content), columns=PEOPLE))
    except Refusal as refusal:
        assert refusal.code != "refused"
    else:
        assert [row.number for row in rows] == list(range(1, len(rows) + 1))
        assert {type(row) for row in rows} <= {CsvRow, CsvRowError}
