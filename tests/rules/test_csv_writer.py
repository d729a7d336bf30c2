"""No exported cell starts a formula, and what was exported reads back as it was."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.jobs.csv_reader import ColumnRules, open_csv
from pipelines.jobs.csv_writer import BLOCK_CHARACTERS, TRIGGERS, csv_blocks, guarded, unguarded

HOSTILE = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "|calc",
    "%0A",
    "＝1+1",
    "＋1",
    "－1",
    "＠SUM",
    "\0=1",
    "=cmd|' /C calc'!A0",
    "=1+1@evil.com",
    '=HYPERLINK("http://x","y")',
]
HARMLESS = ["", "Ann", "O'Neil", "'tis", "a=1", "1-1", "https://x.example/?a=b", " =1"]


def written(*rows):
    return b"".join(csv_blocks(["name", "note"], rows)).decode("utf-8-sig")


@pytest.mark.parametrize("cell", HOSTILE, ids=repr)
def test_a_cell_that_could_run_is_guarded(cell):
    text = written([cell, "x"])

    (_header, record) = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert record == [f"'{cell}", "x"]


@pytest.mark.parametrize("cell", HARMLESS, ids=repr)
def test_a_harmless_cell_stays_as_it_is(cell):
    assert guarded(cell) == cell


def test_integers_are_numbers_and_empty_values_are_empty():
    assert written([-5, None], [2500, "-5"]) == ('"name","note"\r\n"-5",""\r\n"2500","\'-5"\r\n')


def test_the_header_is_guarded_too():
    assert b"".join(csv_blocks(["=name"], [])) == b'\xef\xbb\xbf"\'=name"\r\n'


def test_large_tables_come_in_blocks():
    blocks = list(csv_blocks(["name", "note"], (["n" * 90, "x"] for _ in range(5_000))))

    lengths = [len(block) for block in blocks]
    assert sum(lengths) == 3 + len('"name","note"\r\n') + 5_000 * len('"","x"\r\n') + 5_000 * 90
    assert len(blocks) == 8
    assert max(lengths) < BLOCK_CHARACTERS + 200


@given(st.text(alphabet=st.sampled_from("'ab" + TRIGGERS), max_size=6))
def test_the_guard_is_undone_exactly(cell):
    assert unguarded(guarded(cell)) == cell
    assert guarded(cell)[:1] not in set(TRIGGERS)


CELL = st.text(
    alphabet=st.characters(
        exclude_categories=["Cs"],
        exclude_characters=[*map(chr, range(9)), *map(chr, range(14, 32)), "\x7f"],
    ),
    max_size=20,
)


@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=5))
def test_a_written_file_reads_back_cell_by_cell(rows):
    """With the row's number beside them, as in results: a row of nothing is a blank line."""
    numbered = [(number, *cells) for number, cells in enumerate(rows)]
    content = b"".join(csv_blocks(["row", "name", "note"], numbered))

    table = open_csv(io.BytesIO(content), columns=ColumnRules(required=("row", "name", "note")))

    assert [tuple(row.cells.values())[1:] for row in table] == rows
