"""Read an uploaded CSV as a stream: whole-file problems refuse it, row problems are yielded."""

import codecs
import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NoReturn

from pipelines.errors import FieldError, Kind, Refusal
from pipelines.jobs.cells import FORBIDDEN_CONTROLS
from pipelines.jobs.csv_writer import unguarded
from pipelines.limits import DEFAULTS, Limits

UNICODE_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
#: zip (and xlsx), gzip, xz, 7z, zstd.
ARCHIVE_MARKS = (
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"\x1f\x8b",
    b"\xfd7zXZ",
    b"7z\xbc\xaf",
    b"(\xb5/\xfd",
)
#: A cell that grows past this ends the file: it is not held in memory to be judged. One for all files,
#: because the module `csv` keeps it for the whole process.
CELL_READ_MAX = 64 * 1024
OTHER_DELIMITERS = {";": "semicolon", "\t": "tab", "|": "vertical bar"}
#: Names from a header are cut to this before they are shown.
NAME_SHOWN_CHARACTERS = 64


class EmptyFile(Refusal):
    """The file has no header: it is empty or has only blank lines."""

    code = "empty_file"
    detail = "The file is empty. Put the column names in the first line."


class NoRows(Refusal):
    """The file has a header and nothing below it."""

    code = "no_rows"
    detail = "The file has a header but no rows."


class EncodingNotUtf8(Refusal):
    """The file is not UTF-8; the line named is near the first wrong byte."""

    code = "encoding_not_utf8"
    detail = "The file is not UTF-8. Save it as “CSV UTF-8” and upload it again."


class IllegalCharacter(Refusal):
    """The file has NUL characters: it is binary, or UTF-16 without a mark."""

    code = "illegal_character"
    detail = "The file has NUL characters. Save it as “CSV UTF-8” and upload it again."


class MalformedCsv(Refusal):
    """The quoting is broken or a cell is too long; `reason` says which."""

    code = "malformed_csv"


class TooManyColumns(Refusal):
    """A line has more cells than any of our files has columns."""

    code = "too_many_columns"


class DuplicateHeader(Refusal):
    """A column name stands twice in the header."""

    code = "duplicate_header"
    detail = "A column stands twice in the header; keep one of them."


class MissingColumns(Refusal):
    """A required column is not in the header."""

    code = "missing_columns"


class UnknownColumns(Refusal):
    """The header has columns that this upload does not know."""

    code = "unknown_columns"


class TooManyRows(Refusal):
    """The file has more rows than one upload may have."""

    code = "too_many_rows"


class ArchiveUploaded(Refusal):
    """The file is an archive or a spreadsheet, whatever its name says; it is never unpacked."""

    code = "unsupported_media_type"
    kind = Kind.MEDIA
    detail = "This is an archive or a spreadsheet file. Export it as CSV and upload that."


class UploadTooLarge(Refusal):
    """The file is larger than an upload may be."""

    code = "payload_too_large"
    kind = Kind.TOO_LARGE


@dataclass(frozen=True, slots=True)
class ColumnRules:
    """Which columns a file must and may have; names in lower case."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    ignore_unknown: bool = False
    #: Characters of a cell, by column, where it may have more than the limits say.
    longer: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CsvRow:
    """One data row: its number from 1 (header and blank lines do not count), its line, its cells by column."""

    number: int
    line: int
    cells: dict[str, str]


@dataclass(frozen=True, slots=True)
class CsvRowError:
    """A data row that cannot be read; the rest of the file can."""

    number: int
    line: int
    code: str
    detail: str
    column: str | None = None

    def as_field_error(self) -> FieldError:
        detail = f"Line {self.line}: {self.detail}"
        return FieldError(code=self.code, detail=detail, row=self.number, field=self.column)


def open_csv(stream: BinaryIO, *, columns: ColumnRules, limits: Limits = DEFAULTS) -> "CsvTable":
    """Check the start and the header of `stream`; iterate the answer to read the rows.

    Memory is bounded by one line of the largest legal size. The stream is not closed.
    """
    head = stream.read(8)
    _refuse_other_formats(head)
    return CsvTable(_Upload(head, stream, limits), columns, limits)


class CsvTable:
    """A CSV whose header was accepted; iterating yields rows and row errors, once."""

    def __init__(self, upload: "_Upload", columns: ColumnRules, limits: Limits) -> None:
        csv.field_size_limit(CELL_READ_MAX)
        text = io.TextIOWrapper(io.BufferedReader(upload), "utf-8-sig", "strict", newline="")
        self._limits = limits
        self._blank = 0
        self._text = text
        self._longer = columns.longer
        self._is_cut = False
        self._reader = csv.reader(self._lines(), strict=True)
        found = self._next_record()
        if found is None:
            raise EmptyFile
        self.header = tuple(name.strip().lower() for name in found[0])
        self._known = _known_columns(self.header, columns)
        #: The columns of the file that the rules know, in the order of the file.
        self.columns = tuple(self._known)

    def __iter__(self) -> Iterator[CsvRow | CsvRowError]:
        number = 0
        width = len(self.header)
        names, places = self.columns, tuple(self._known.values())
        whole = names == self.header
        while (found := self._next_record()) is not None:
            record, joined = found
            number += 1
            if number > self._limits.csv_rows_max:
                raise TooManyRows(f"A file may have {self._limits.csv_rows_max} rows.")
            line = self._reader.line_num
            if len(record) != width:
                detail = f"the row has {len(record)} cells, the header has {width}."
                yield CsvRowError(number, line, "column_count", detail)
                continue
            cells = dict(zip(names, record if whole else [record[i] for i in places], strict=True))
            if len(joined) > self._limits.csv_cell_characters_max and (long := self._long(cells)):
                name, most = long
                detail = f"the cell has more than {most} characters."
                yield CsvRowError(number, line, "too_long", detail, name)
                continue
            if not joined.isprintable() and (column := _column_with_controls(cells)) is not None:
                detail = "the cell has control characters."
                yield CsvRowError(number, line, "illegal_character", detail, column)
                continue
            if "'" in joined:
                cells = {name: unguarded(cell) for name, cell in cells.items()}
            yield CsvRow(number, line, cells)
        if number == 0:
            raise NoRows

    def _lines(self) -> Iterator[str]:
        """The lines; one with more than all cells of the limits could have is cut there, and noted."""
        line_max = self._limits.csv_columns_max * (2 * self._limits.csv_cell_characters_max + 3) + 2
        while line := self._text.readline(line_max):
            self._is_cut = self._is_cut or (len(line) == line_max and line[-1] not in "\r\n")
            yield line

    def _long(self, cells: dict[str, str]) -> tuple[str, int] | None:
        """The first column whose cell is too long, and what it may have."""
        usual = self._limits.csv_cell_characters_max
        most = {name: self._longer.get(name, usual) for name in cells}
        return next(((n, most[n]) for n, cell in cells.items() if len(cell) > most[n]), None)

    def _next_record(self) -> tuple[list[str], str] | None:
        """The next record with a cell that is not blank, and its text; None at the end."""
        reader = self._reader
        while True:
            first_line = reader.line_num + 1
            try:
                record = next(reader)
            except StopIteration:
                return None
            except UnicodeDecodeError:
                raise EncodingNotUtf8(extra={"near_line": reader.line_num + 1}) from None
            except csv.Error as error:
                _refuse_malformed(str(error), first_line=first_line, line=reader.line_num)
            if len(record) > self._limits.csv_columns_max:
                detail = f"A line may have {self._limits.csv_columns_max} columns."
                raise TooManyColumns(detail, extra={"line": reader.line_num})
            if self._is_cut:
                raise _cell_too_long(reader.line_num)
            joined = "".join(record)
            if not joined or joined.isspace():
                self._pass_blank()
                continue
            if "\0" in joined:
                raise IllegalCharacter(extra={"line": reader.line_num})
            return record, joined

    def _pass_blank(self) -> None:
        """Blank lines are no rows, but a file of nothing else keeps its transaction waiting."""
        self._blank += 1
        if self._blank > self._limits.csv_rows_max:
            raise TooManyRows(f"A file may have {self._limits.csv_rows_max} blank lines.")


class _Upload(io.RawIOBase):
    """The bytes already looked at, then the rest; counts them, and leaves the stream open."""

    def __init__(self, head: bytes, stream: BinaryIO, limits: Limits) -> None:
        self._head = head
        self._stream = stream
        self._bytes_max = limits.upload_bytes_max
        self._bytes_read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        part = self._head or self._stream.read(len(buffer))
        part, self._head = part[: len(buffer)], part[len(buffer) :]
        self._bytes_read += len(part)
        if self._bytes_read > self._bytes_max:
            raise UploadTooLarge(f"A file may have {self._bytes_max} bytes.")
        buffer[: len(part)] = part
        return len(part)


def _refuse_other_formats(head: bytes) -> None:
    for mark, name in UNICODE_MARKS:
        if head.startswith(mark):
            raise EncodingNotUtf8(extra={"detected": name, "near_line": 1})
    if head.startswith(ARCHIVE_MARKS):
        raise ArchiveUploaded(extra={"detected": "archive"})


def _refuse_malformed(message: str, *, first_line: int, line: int) -> NoReturn:
    """A cell that outgrew its limit over several lines is a quote that nobody closed."""
    if "field limit" in message and line <= first_line:
        raise _cell_too_long(line) from None
    detail = "A quoted cell is not closed, or has text after its closing quote."
    raise MalformedCsv(detail, extra={"reason": "quoting", "line": first_line}) from None


def _cell_too_long(line: int) -> MalformedCsv:
    return MalformedCsv("A cell is too long.", extra={"reason": "cell_too_long", "line": line})


def _known_columns(header: tuple[str, ...], columns: ColumnRules) -> dict[str, int]:
    """The place of each known column; refuses a header that breaks the rules.

    Only names of our own are shown until the required ones are there: a file without a header
    has people's data in its first line.
    """
    known = {*columns.required, *columns.optional}
    if twice := [name for name, times in Counter(header).items() if times > 1 and name in known]:
        raise DuplicateHeader(extra={"names": twice})
    if missing := [name for name in columns.required if name not in header]:
        _refuse_missing(missing, header)
    unknown = list(dict.fromkeys(name for name in header if name not in known))
    if unknown and not columns.ignore_unknown:
        _refuse_unknown(unknown, header, columns)
    return {name: place for place, name in enumerate(header) if name in known}


def _refuse_unknown(unknown: list[str], header: tuple[str, ...], columns: ColumnRules) -> NoReturn:
    detail = "The header has columns that are not known here. Known are: "
    detail += ", ".join((*columns.required, *columns.optional)) + "."
    shown = [name[:NAME_SHOWN_CHARACTERS] for name in unknown]
    detail, extra = _with_delimiter(detail, header, {"names": shown})
    raise UnknownColumns(detail, extra=extra)


def _refuse_missing(missing: list[str], header: tuple[str, ...]) -> NoReturn:
    detail = "The first line must name the columns; these are missing: " + ", ".join(missing) + "."
    detail, extra = _with_delimiter(detail, header, {"names": missing})
    raise MissingColumns(detail, extra=extra)


def _with_delimiter(
    detail: str, header: tuple[str, ...], extra: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    """The refusal's words and facts, with the other delimiter that a lone column has in it."""
    found = next((d for d in OTHER_DELIMITERS if len(header) == 1 and d in header[0]), None)
    if found is None:
        return detail, extra
    detail += f" The columns seem to be separated by a {OTHER_DELIMITERS[found]}; use a comma."
    return detail, extra | {"delimiter_found": found}


def _column_with_controls(cells: dict[str, str]) -> str | None:
    return next((name for name, cell in cells.items() if FORBIDDEN_CONTROLS.search(cell)), None)
