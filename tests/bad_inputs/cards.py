"""Files of cards that are refused: what a pool's import answers to the table."""

from tests.bad_inputs.recipients import WHOLE_FILES
from tests.bad_inputs.table import Bad
from tests.canary import MARK, PIN

HEADER = "card_number,pin,expires_on,cost_minor\n"
#: Judged within the request when it is found in the header or the start of the file.
AT_ONCE = (
    *(
        Bad(bad.id, bad.made, bad.status, bad.code)
        for bad in WHOLE_FILES
        if bad.id.split(" ")[0] in {"B01", "B02", "B05", "B18", "B30"}
    ),
    Bad("B06", f"{HEADER}{MARK}1111,,,\n".encode("utf-16-le"), code="illegal_character"),
    Bad("B07", f"{HEADER}{MARK}1111,,,\n".encode() + b"Jos\xe9,,,\n", code="encoding_not_utf8"),
    Bad("B19", b"card_number,Card_Number\n", code="duplicate_header"),
    Bad("B20", b"pin\n1234\n", code="missing_columns"),
    Bad("B21", b"card_number,colour\n1,2\n", code="unknown_columns"),
    Bad("B23", f"{MARK}11112222,{PIN}\n".encode(), code="missing_columns"),
    Bad("B24", b"card_number;pin\n", code="missing_columns"),
)
#: Found by the worker, further in: the job fails with the code of the table.
WITHIN = (
    Bad("B03", HEADER.encode(), code="no_rows"),
    Bad(
        "B08",
        lambda: (
            HEADER.encode()
            + b"".join(b"%sB08%06d,,,\n" % (MARK.encode(), n) for n in range(5_000))
            + b"\xff,,,\n"
        ),
        code="encoding_not_utf8",
    ),
    Bad("B11", f"{HEADER}{MARK}11\x0011,,,\n".encode(), code="illegal_character"),
    Bad("B13", f'{HEADER}"{MARK}1111,,,\n'.encode(), code="malformed_csv"),
    Bad("B14", f'{HEADER}"{MARK}"1,,,\n'.encode(), code="malformed_csv"),
    Bad("B16", f"{HEADER}{MARK}{'1' * 10_000_000},,,\n".encode, code="malformed_csv"),
    Bad("B17", lambda: HEADER.encode() + b"," * 1_000_000 + b"\n", code="too_many_columns"),
)


def bad_card(identity: str, column: str, cell: str, code: str) -> Bad:
    cells = {"card_number": f"{MARK}90001", "pin": "", "expires_on": "", "cost_minor": ""}
    line = ",".join(f'"{value}"' for value in (cells | {column: cell}).values())
    content = f"{HEADER}{MARK}GOOD1,,,\n{line}\n".encode()
    return Bad(f"{identity} {column} {ascii(cell)[:30]}", content, row=code)


ROWS = (
    Bad("B25", f"{HEADER}{MARK}GOOD1,,,\n{MARK}1111,,\n".encode(), row="column_count"),
    *(
        bad_card("B10", "card_number", f"{MARK}11{mark}11", "illegal_character")
        for mark in "\u2028\x85\v\f"
    ),
    *(
        bad_card("B12", "card_number", f"{MARK}11{mark}11", "illegal_character")
        for mark in "\x1a\x01"
    ),
    *(
        bad_card("B34", "card_number", cell, "code_charset")
        for cell in (f"={MARK}1", f"+{MARK}1", f"@{MARK}1", f"＝{MARK}1")
    ),
    *(
        bad_card("B36", "cost_minor", cell, "invalid_amount")
        for cell in ("-5", "-0", "NaN", "1e3", "5.00", "٥", "05", " 5")
    ),
    bad_card("B41", "cost_minor", "9" * 14, "amount_out_of_range"),
    bad_card("B51 as given", "card_number", f"{MARK}GOOD1", "duplicate_card"),
    bad_card("B51 lower", "card_number", f"{MARK}GOOD1".lower(), "duplicate_card"),
    bad_card("B51 spaces", "card_number", f" {MARK[:3]} {MARK[3:]}GOOD1 ", "duplicate_card"),
    bad_card("B51 wide", "card_number", f"{MARK}ＧＯＯＤ１", "duplicate_card"),
    *(
        bad_card("B54", "card_number", f"{MARK}{mark}1", "code_charset")
        for mark in "А\u200b\u00ad\ufeff🎁"
    ),
    bad_card("B54", "card_number", "ABC", "code_length"),
    bad_card("B54", "card_number", f"{MARK}{'1' * 64}"[:65], "code_length"),
    bad_card("B55", "card_number", "1.23E+15", "looks_like_spreadsheet_damage"),
    bad_card("B55", "card_number", "123456789012000", "looks_like_spreadsheet_damage"),
    *(bad_card("B57", "pin", cell, "invalid_pin") for cell in ("123", "12a4", "９０８１", "1 234")),
    *(
        bad_card("B58", "expires_on", cell, "invalid_date")
        for cell in ("31.02.2027", "2027-13-01", "12/01/2027", "10000-01-01", "infinity")
    ),
    bad_card("B58", "expires_on", "2020-01-01", "already_expired"),
)
