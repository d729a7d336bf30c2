"""Every malformed file has one answer: B01-B30 of the table of bad inputs, at the reader."""

import gzip
import io
from dataclasses import replace

import pytest

from pipelines.errors import Kind, Refusal
from pipelines.jobs.csv_reader import ColumnRules, CsvRow, CsvRowError, open_csv
from pipelines.limits import DEFAULTS

PEOPLE = ColumnRules(required=("email",), optional=("reference", "name", "amount"))


def read(content, columns=PEOPLE, limits=DEFAULTS):
    return list(open_csv(io.BytesIO(content), columns=columns, limits=limits))


def refusal_of(content, columns=PEOPLE, limits=DEFAULTS):
    with pytest.raises(Refusal) as caught:
        read(content, columns, limits)
    return caught.value.code, caught.value.kind, caught.value.extra


@pytest.mark.parametrize(
    "content", [b"", b"\xef\xbb\xbf", b"\n\r\n\n", b"\xef\xbb\xbf\r\n"], ids=repr
)
def test_a_file_without_a_header_is_empty(content):
    """B01, B02."""
    assert refusal_of(content) == ("empty_file", Kind.INVALID, {})


@pytest.mark.parametrize("content", [b"email", b"email,name\r\n", b"email\n\n\n"], ids=repr)
def test_a_header_alone_has_no_rows(content):
    """B03."""
    assert refusal_of(content) == ("no_rows", Kind.INVALID, {})


def test_a_byte_order_mark_before_the_header_is_dropped():
    """B04."""
    rows = read(b"\xef\xbb\xbfemail\na@x.example\n")

    assert rows == [CsvRow(1, 2, {"email": "a@x.example"})]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_utf_16_and_utf_32_are_named(encoding):
    """B05."""
    code, kind, extra = refusal_of("email\na@x.example\n".encode(encoding))

    assert (code, kind) == ("encoding_not_utf8", Kind.INVALID)
    assert extra == {"detected": encoding, "near_line": 1}


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("email\na@x.example\n".encode("utf-16-le"), 1),
        (b"email\na@x.example\nb\0@x.example\n", 3),
        (b"email,\0\na@x.example,b\n", 1),
    ],
)
def test_nul_characters_refuse_the_file(content, line):
    """B06, B11."""
    assert refusal_of(content) == ("illegal_character", Kind.INVALID, {"line": line})


def test_latin_1_is_not_utf_8():
    """B07."""
    content = "email,name\na@x.example,José\n".encode("latin-1")

    assert refusal_of(content) == ("encoding_not_utf8", Kind.INVALID, {"near_line": 1})


def test_one_bad_byte_in_the_last_of_many_rows_refuses_the_file_there():
    """B08."""
    table = iter(
        open_csv(io.BytesIO(b"email\n" + b"a@x.example\n" * 9_999 + b"\xe9\n"), columns=PEOPLE)
    )
    seen = 0

    with pytest.raises(Refusal) as caught:
        for _row in table:
            seen += 1

    assert caught.value.code == "encoding_not_utf8"
    assert 9_000 < seen < 10_000
    assert 9_000 < caught.value.extra["near_line"] <= 10_001


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"], ids=repr)
def test_every_line_ending_gives_the_same_rows(ending):
    """B09."""
    content = ending.join(["email,name", "a@x.example,Ann", "b@x.example,Bob"]).encode()

    assert read(content) == [
        CsvRow(1, 2, {"email": "a@x.example", "name": "Ann"}),
        CsvRow(2, 3, {"email": "b@x.example", "name": "Bob"}),
    ]


def test_mixed_line_endings_give_the_same_rows():
    """B09."""
    rows = read(b"email\r\na@x.example\rb@x.example\nc@x.example")

    assert [row.cells["email"] for row in rows] == ["a@x.example", "b@x.example", "c@x.example"]


@pytest.mark.parametrize("separator", ["\u2028", "\x85", "\v", "\f", "\t"], ids=repr)
def test_separators_that_splitlines_would_cut_stay_in_the_cell(separator):
    """B10."""
    rows = read(f"email,name\na@x.example,An{separator}na\n".encode())

    assert rows == [CsvRow(1, 2, {"email": "a@x.example", "name": f"An{separator}na"})]


@pytest.mark.parametrize("control", ["\x1a", "\x01", "\x1b", "\x7f"], ids=repr)
def test_other_control_characters_refuse_the_row_and_not_the_file(control):
    """B12."""
    bad, good = read(f"email,name\na@x.example,An{control}na\nb@x.example,Bob\n".encode())

    assert bad == CsvRowError(1, 2, "illegal_character", "the cell has control characters.", "name")
    assert good == CsvRow(2, 3, {"email": "b@x.example", "name": "Bob"})


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b'email,name\na@x.example,"Ann\nb@x.example,Bob\n', 2),
        (b'email,name\na@x.example,"Ann\n' + b"b@x.example,Bob\n" * 1_000, 2),
        (b'email,name\na@x.example,"x"y\n', 2),
        (b'"email"x,name\na@x.example,Ann\n', 1),
    ],
    ids=["unclosed", "unclosed far from the end", "junk after quote", "junk in header"],
)
def test_broken_quotes_are_malformed(content, line):
    """B13, B14."""
    expected = ("malformed_csv", Kind.INVALID, {"reason": "quoting", "line": line})
    assert refusal_of(content) == expected


def test_quoted_cells_keep_line_breaks_commas_and_doubled_quotes():
    """B15."""
    first, second = read(b'email,name\na@x.example,"A, ""n""\nn"\nb@x.example,Bob\n')

    assert first == CsvRow(1, 3, {"email": "a@x.example", "name": 'A, "n"\nn'})
    assert second == CsvRow(2, 4, {"email": "b@x.example", "name": "Bob"})


@pytest.mark.parametrize("quote", [b"", b'"'])
def test_a_cell_of_ten_megabytes_is_too_long(quote):
    """B16."""
    content = b"email\n" + quote + b"a" * 10_000_000 + quote + b"\n"

    expected = ("malformed_csv", Kind.INVALID, {"reason": "cell_too_long", "line": 2})
    assert refusal_of(content) == expected


def test_a_cell_that_is_too_long_costs_its_row_alone():
    """B16: up to where it is not held in memory to be judged."""
    longer = replace(PEOPLE, longer={"name": 5_000})
    lines = [b"email,name", b"a" * 4_096, b"a" * 4_097, b"b," + b"n" * 5_000, b"c," + b"n" * 5_001]
    content = b"\n".join(line if b"," in line else line + b"," for line in lines) + b"\n"

    whole, email, name, far = read(content, longer)

    assert (whole.cells["email"], name.cells["name"]) == ("a" * 4_096, "n" * 5_000)
    assert [(one.number, one.line, one.code, one.column) for one in (email, far)] == [
        (2, 3, "too_long", "email"),
        (4, 5, "too_long", "name"),
    ]
    assert far.detail == "the cell has more than 5000 characters."
    assert [row.number for row in read(content) if isinstance(row, CsvRowError)] == [2, 3, 4]
    # Cells that are each read, of a line that is not.
    wide = b"email,name\n" + b",".join([b"a" * 60_000] * 20) + b"\nann@x.example,Ann\n"
    assert refusal_of(wide)[2] == {"reason": "cell_too_long", "line": 2}


def test_a_row_of_the_largest_legal_size_is_read_whole():
    names = tuple(f"c{place}" for place in range(64))
    cell = '"' + '""' * 4_096 + '"'
    content = ",".join(names) + "\r\n" + ",".join([cell] * 64) + "\r\n"

    (row,) = read(content.encode(), ColumnRules(required=names))

    assert row.cells == dict.fromkeys(names, '"' * 4_096)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"email\n" + b"," * 1_000_000 + b"\n", 2),
        (b",".join(b"c%d" % place for place in range(10_000)) + b"\n", 1),
        (b"email\n" + b"," * 64 + b"\n", 2),
    ],
    ids=["commas", "header", "65 cells"],
)
def test_too_many_columns_refuse_the_file(content, line):
    """B17, B18."""
    assert refusal_of(content) == ("too_many_columns", Kind.INVALID, {"line": line})


def test_a_column_named_twice_is_refused_whatever_its_case():
    """B19."""
    expected = ("duplicate_header", Kind.INVALID, {"names": ["email"]})
    assert refusal_of(b"email,amount,Email\na,1,b\n") == expected


@pytest.mark.parametrize(
    "content", [b"name,amount\nAnn,1\n", b"ann@x.example,Ann\nbob@x.example,Bob\n"]
)
def test_a_missing_required_column_is_named_and_data_is_not(content):
    """B20, B23."""
    code, kind, extra = refusal_of(content)

    assert (code, kind, extra) == ("missing_columns", Kind.INVALID, {"names": ["email"]})


def test_an_unknown_column_is_refused_and_named_shortened():
    """B21."""
    content = b"email,colour," + b"x" * 100 + b"\na,b,c\n"

    expected = ("unknown_columns", Kind.INVALID, {"names": ["colour", "x" * 64]})
    assert refusal_of(content) == expected


def test_an_unknown_column_is_left_out_on_request():
    """B21."""
    rules = replace(PEOPLE, ignore_unknown=True)

    assert read(b"colour,email,,\nred,a@x.example,,\n", rules) == [
        CsvRow(1, 2, {"email": "a@x.example"})
    ]


def test_spaces_and_case_in_the_header_do_not_matter():
    """B22."""
    assert read(b" Email , NAME\na@x.example,Ann\n") == [
        CsvRow(1, 2, {"email": "a@x.example", "name": "Ann"})
    ]


@pytest.mark.parametrize(("delimiter", "word"), [(";", "semicolon"), ("\t", "tab")])
def test_another_delimiter_is_hinted_at(delimiter, word):
    """B24."""
    with pytest.raises(Refusal) as caught:
        read(f"email{delimiter}name\na@x.example{delimiter}Ann\n".encode())

    assert caught.value.code == "missing_columns"
    assert caught.value.extra == {"names": ["email"], "delimiter_found": delimiter}
    assert f"separated by a {word}; use a comma" in caught.value.detail


def test_another_delimiter_is_hinted_at_where_no_column_is_required():
    """B24."""
    rules = ColumnRules(required=(), optional=("email", "name"))

    with pytest.raises(Refusal) as caught:
        read(b"email;name\na@x.example;Ann\n", rules)

    assert caught.value.code == "unknown_columns"
    assert caught.value.extra == {"names": ["email;name"], "delimiter_found": ";"}
    assert caught.value.detail == (
        "The header has columns that are not known here. Known are: email, name. "
        "The columns seem to be separated by a semicolon; use a comma."
    )


def test_ragged_rows_are_row_errors_with_their_line():
    """B25."""
    rows = read(b"email,name\na@x.example\nb@x.example,Bob\nc@x.example,C,D\n")

    assert [(type(row), row.number, row.line) for row in rows] == [
        (CsvRowError, 1, 2),
        (CsvRow, 2, 3),
        (CsvRowError, 3, 4),
    ]
    assert rows[0].code == "column_count"
    assert rows[2].as_field_error().as_json() == {
        "code": "column_count",
        "detail": "Line 4: the row has 3 cells, the header has 2.",
        "row": 3,
        "field": None,
    }


def test_blank_lines_do_not_count_as_rows():
    """B26."""
    rows = read(b"\n\nemail\n\na@x.example\n\n\nb@x.example\n\n")

    assert [(row.number, row.line) for row in rows] == [(1, 5), (2, 8)]


def test_rows_of_empty_cells_are_blank_lines():
    """B26: what a spreadsheet leaves below the last row."""
    rows = read(b",,\nemail,name\n,\na@x.example,\n , \n,,,,\n")

    assert [(row.number, row.line) for row in rows] == [(1, 4)]


def test_reading_stops_at_the_row_above_the_limit():
    """B27."""
    limits = replace(DEFAULTS, csv_rows_max=3)

    assert len(read(b"email\n" + b"a\n" * 3, limits=limits)) == 3
    assert refusal_of(b"email\n" + b"a\n" * 4, limits=limits)[:2] == ("too_many_rows", Kind.INVALID)


def test_a_file_of_blank_lines_is_refused_and_does_not_keep_its_reader():
    """Sixteen million of them took longer than a transaction may stand still."""
    limits = replace(DEFAULTS, csv_rows_max=3)
    assert len(read(b"email\n" + b"\n" * 3 + b"a\n", limits=limits)) == 1
    assert refusal_of(b"email\n" + b" \n" * 4 + b"a\n", limits=limits)[:2] == (
        "too_many_rows",
        Kind.INVALID,
    )


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04rest of a zip",
        gzip.compress(b"email\n" * 1_000, mtime=0),
        b"PK\x05\x06",
        b"\xfd7zXZ\0",
    ],
)
def test_an_archive_is_refused_by_its_first_bytes(content):
    """B30."""
    assert refusal_of(content) == ("unsupported_media_type", Kind.MEDIA, {"detected": "archive"})


def test_an_apostrophe_that_guards_a_trigger_is_dropped_and_no_other():
    content = "email,name\n'=1@x.example,O'Neil\n''=1,'tis\n'＝1,'\n"

    assert [list(row.cells.values()) for row in read(content.encode())] == [
        ["=1@x.example", "O'Neil"],
        ["'=1", "'tis"],
        ["＝1", "'"],
    ]
