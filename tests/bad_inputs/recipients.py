"""Files of recipients that are refused: B01 to B47 of the table."""

import gzip
import io
import zipfile

from tests.bad_inputs.table import Bad, bad_cell, bad_row

HEADER = b"email,name\n"
GOOD = b"ann@x.de,Ann\n"


def zipped() -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return held.getvalue()


def refused(identity: str, made: object, code: str, status: int = 422, **extra: object) -> Bad:
    return Bad(identity, made, status, code, extra=extra)  # type: ignore[arg-type]


WHOLE_FILES = (
    refused("B01", b"", "empty_file"),
    refused("B02 mark", b"\xef\xbb\xbf", "empty_file"),
    refused("B02 blank", b"\n\r\n  \n", "empty_file"),
    refused("B03", HEADER, "no_rows"),
    refused(
        "B05", (HEADER + GOOD).decode().encode("utf-16"), "encoding_not_utf8", detected="utf-16"
    ),
    refused("B06", (HEADER + GOOD).decode().encode("utf-16-le"), "illegal_character", line=1),
    refused("B07", HEADER + b"jose@x.de,Jos\xe9\n", "encoding_not_utf8"),
    refused("B08", lambda: HEADER + GOOD * 20_000 + b"\xff@x.de,X\n", "encoding_not_utf8"),
    refused("B11", HEADER + b"ann@x.de,A\0n\n", "illegal_character", line=2),
    refused("B13", HEADER + b'ann@x.de,"Ann\n' + GOOD * 50, "malformed_csv", reason="quoting"),
    refused("B14", HEADER + b'ann@x.de,"x"y\n', "malformed_csv", reason="quoting"),
    refused(
        "B16",
        lambda: HEADER + b"ann@x.de," + b"a" * 10_000_000 + b"\n",
        "malformed_csv",
        reason="cell_too_long",
        line=2,
    ),
    refused("B17", lambda: HEADER + b"," * 1_000_000 + b"\n", "too_many_columns", line=2),
    refused("B18", b",".join(b"c%d" % n for n in range(10_000)), "too_many_columns"),
    refused("B19", b"email,amount,Email\n", "duplicate_header", names=["email"]),
    refused("B20", b"name\nAnn\n", "missing_columns", names=["email"]),
    refused("B21", b"email,shoe\nann@x.de,4\n", "unknown_columns", names=["shoe"]),
    refused("B23", b"ann@x.de,Ann\nbob@x.de,Bob\n", "missing_columns", names=["email"]),
    refused("B24 semicolon", b"email;name\n", "missing_columns", delimiter_found=";"),
    refused("B24 tab", b"email\tname\n", "missing_columns", delimiter_found="\t"),
    refused("B30 zip", zipped, "unsupported_media_type", 415, detected="archive"),
    refused("B30 gzip", lambda: gzip.compress(HEADER), "unsupported_media_type", 415),
    refused(
        "B30 bomb", lambda: gzip.compress(b"\0" * 100_000_000, 1), "unsupported_media_type", 415
    ),
    refused("B33 html", b"<html><body>email</body></html>\n", "missing_columns"),
    refused("B33 jpeg", b"\xff\xd8\xff\xe0\x10JFIF" + bytes(range(1, 200)), "encoding_not_utf8"),
    refused("B42 column", b"email,currency\nann@x.de,usd\n", "unknown_columns", names=["currency"]),
)

UNREADABLE_CELLS = (
    *(bad_cell("B10", "email", f"a{mark}n@x.de", "illegal_character") for mark in "\u2028\x85\v\f"),
    *(bad_cell("B12", "name", f"An{mark}n", "illegal_character") for mark in "\x1a\x01\x1b\x7f"),
    bad_row("B25 few", "column_count", "ann@x.de,Ann"),
    bad_row("B25 many", "column_count", "ann@x.de,Ann,25,more"),
    *(bad_cell("B34", "amount", cell, "invalid_amount") for cell in ("=1+1", "+1", "-1", "@SUM")),
    *(bad_cell("B34", "email", cell, "invalid_email") for cell in ("=1+1", "-1", "@SUM", "＝1+1")),
)

AMOUNTS = (
    *(bad_cell("B36", "amount", cell, "invalid_amount") for cell in ("-5", "-0")),
    bad_cell("B36", "amount", "0", "amount_not_positive"),
    *(
        bad_cell("B37", "amount", cell, "invalid_amount")
        for cell in ("NaN", "Infinity", "1e3", "1E999999")
    ),
    *(bad_cell("B38", "amount", cell, "invalid_precision") for cell in ("5.005", "0.001")),
    *(
        bad_cell("B39", "amount", cell, "invalid_amount")
        for cell in ("5,00", "1,000.00", "$5", "5 USD", "+5", " 5", ".5", "5.", "05", "1_000")
    ),
    *(bad_cell("B40", "amount", cell, "invalid_amount") for cell in ("٥", "５", "5\u200b")),
    *(bad_cell("B41", "amount", cell, "amount_out_of_range") for cell in ("9" * 11, "9" * 40)),
)

ADDRESSES = (
    *(
        bad_cell("B45", "email", cell, "invalid_email")
        for cell in (
            "a@x.de\n",
            "a@@x.de",
            "a@localhost",
            "<a@x.de>",
            "a@x.de,b@x.de",
            '"a b"@x.de',
            "a@[127.0.0.1]",
            "a" * 250 + "@x.de",
        )
    ),
    bad_cell("B46", "email", "a@x.de\r\nBcc: b@x.de", "invalid_email"),
    bad_cell("B46", "name", "Ann\r\nBcc: b@x.de", "illegal_character"),
    *(
        bad_cell("B47", "email", f"a{mark}n@x.de", "invalid_email")
        for mark in "\u200b\u200d\u202e\u2066\ufeff"
    ),
    bad_cell("B59", "name", "n" * 201, "too_long"),
)

#: Accepted as they are: the answer is a plan without an invalid row.
WELCOME = (
    Bad("B04", b"\xef\xbb\xbfemail\nann@x.de\n"),
    *(
        Bad(f"B09 {ending!r}", ending.join(("email,name", "ann@x.de,A", "bob@x.de,B")).encode())
        for ending in ("\r\n", "\n", "\r")
    ),
    Bad("B10 free text", "email,name\nann@x.de,A\u2028n\x85n\vn\fn\n".encode()),
    Bad("B15", b'email,name\nann@x.de,"A\nn, ""n"""\n'),
    Bad("B22", b" Email , NAME \nann@x.de,Ann\n"),
    Bad("B26", b"email\n\n\nann@x.de\n\n  \nbob@x.de\n"),
    *(
        Bad(f"B34 {cell!r}", f'email,name\nann@x.de,"{cell}"\n'.encode())
        for cell in ("=1+1", "+1", "-1", "@SUM", "\t=1", "\r=1", "＝1+1", "=cmd|' /C calc'!A0")
    ),
    Bad("B34 address", b"email\n=1+1@evil.com\n"),
    *(
        Bad(f"B35 {cell}", f'email,name\nann@x.de,"{cell}"\n'.encode())
        for cell in ("<script>alert(1)</script>", "{{7*7}}", "'; DROP TABLE items; --")
    ),
    Bad("B45 spaces", b"email\n ann@x.de \n"),
    Bad("B56", b"email,reference\nann@x.de,00012345\n"),
    Bad("B59 spaces", b"email,reference\nann@x.de, a B \n"),
)
