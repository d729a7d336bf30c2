"""Rows of a card file: canonical numbers, PINs, dates, and verdicts that show nothing."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.jobs.cells import CellProblem
from pipelines.pools.card_rows import Card, CardRules, Warn, canonical_code, check_card
from pipelines.sealing import Secret

RULES = CardRules(today=date(2026, 11, 20))
PIN_NEEDED = replace(RULES, pin_required=True)


def codes(cells, rules=RULES):
    verdict = check_card({"card_number": "ABCD-1234"} | cells, rules=rules, row=1)
    return {e.field: e.code for e in verdict} if isinstance(verdict, tuple) else {}


def test_a_full_row_becomes_a_card():
    cells = {
        "card_number": " abcd 5678 9012 ",
        "pin": "0042",
        "expires_on": "2027-12-31",
        "cost_minor": "2300",
    }

    assert check_card(cells, rules=RULES) == Card(
        number=Secret("ABCD56789012"),
        pin=Secret("0042"),
        expires_on=date(2027, 12, 31),
        cost_minor=2300,
    )


def test_a_number_alone_is_a_card_at_the_pools_cost():
    rules = replace(RULES, default_cost_minor=2400)

    assert check_card(
        {"card_number": "00012345", "pin": "", "cost_minor": ""}, rules=rules
    ) == Card(number=Secret("00012345"), pin=None, expires_on=None, cost_minor=2400)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("abcd-1234", "ABCD-1234"),
        ("  AB CD 12 34 ", "ABCD1234"),
        ("ＡＢＣＤ１２３４", "ABCD1234"),
        ("AB\u00a0CD", "ABCD"),
        ("00012345", "00012345"),
        ("5E12", "5E12"),
        ("A" * 64, "A" * 64),
    ],
)
def test_one_code_has_one_spelling(text, code):
    """B51, B56."""
    assert canonical_code(text) == code
    assert canonical_code(code) == code


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "required"),
        ("  ", "required"),
        ("ABC", "code_length"),
        ("A" * 65, "code_length"),
        ("\u0410BCD-1234", "code_charset"),
        ("ABCD\u200b1234", "code_charset"),
        ("ABCD\u00ad1234", "code_charset"),
        ("\ufeffABCD1234", "code_charset"),
        ("ABCD🎁1234", "code_charset"),
        ("ABCDı234", "code_charset"),
        ("ABCDß234", "code_charset"),
        ("ABCD٣٤٥", "code_charset"),
        ("ABCD_1234", "code_charset"),
        ("=ABCD", "code_charset"),
        ("ABCD\t1234", "code_charset"),
        ("ABCD1234\n", "code_charset"),
        ("ABCD\u20281234", "illegal_character"),
        ("ABCD\x851234", "illegal_character"),
        ("ABCD\v1234", "illegal_character"),
        ("ABCD\x001234", "illegal_character"),
        ("1.23E+15", "looks_like_spreadsheet_damage"),
        ("1,23457E+15", "looks_like_spreadsheet_damage"),
        ("1E+15", "looks_like_spreadsheet_damage"),
        ("123456789012000", "looks_like_spreadsheet_damage"),
        ("1234567890123000", "looks_like_spreadsheet_damage"),
    ],
    ids=ascii,
)
def test_a_number_that_is_no_code_is_refused(text, expected):
    """B10, B34, B54, B55."""
    assert codes({"card_number": text}) == {"card_number": expected}


def test_a_number_that_may_be_rounded_passes_with_a_warning_where_that_is_wanted():
    """B55."""
    rules = replace(RULES, refuse_damage=False)

    card = check_card({"card_number": "1234567890123000"}, rules=rules)

    assert card.warnings == (Warn.LOOKS_LIKE_SPREADSHEET_DAMAGE,)
    assert codes({"card_number": "12345678901000"}) == {}
    assert codes({"card_number": "1.2E+15"}, rules) == {
        "card_number": "looks_like_spreadsheet_damage"
    }


@pytest.mark.parametrize(
    "pin", ["123", "123456789", "12a4", "１２３４", "-1234", "12 34", "1234\n"]
)
def test_a_pin_has_four_to_eight_digits(pin):
    """B57."""
    assert codes({"pin": pin}) == {"pin": "invalid_pin"}


def test_a_pin_may_be_missing_unless_the_brand_needs_one():
    """B57."""
    assert codes({"pin": " "}) == {}
    assert codes({"pin": " "}, PIN_NEEDED) == {"pin": "invalid_pin"}
    assert codes({"pin": "12345678"}, PIN_NEEDED) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-20", {}),
        ("2099-12-31", {}),
        ("2100-01-01", {"expires_on": "invalid_date"}),
        ("2026-11-19", {"expires_on": "already_expired"}),
        ("2020-01-01", {"expires_on": "already_expired"}),
        *(
            (text, {"expires_on": "invalid_date"})
            for text in [
                "31.02.2027",
                "2027-13-01",
                "2027-02-30",
                "12/01/2027",
                "10000-01-01",
                "0000-01-01",
                "infinity",
                "20270101",
                "2027-W01-1",
                "2027-01-01T00:00",
                "２０２７-01-01",
            ]
        ),
    ],
)
def test_an_expiry_is_an_iso_date_not_yet_past(text, expected):
    """B58."""
    assert codes({"expires_on": text}) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", {}),
        ("-1", {"cost_minor": "invalid_amount"}),
        ("23.00", {"cost_minor": "invalid_amount"}),
        ("9" * 14, {"cost_minor": "amount_out_of_range"}),
    ],
)
def test_a_cost_is_in_minor_units(text, expected):
    assert codes({"cost_minor": text}) == expected


def test_verdicts_and_cards_never_show_their_values():
    bad = {
        "card_number": "ca_nary",
        "pin": "canary",
        "expires_on": "canary",
        "cost_minor": "canary",
    }
    good = {"card_number": "CANARY-55556666", "pin": "90817263"}

    errors = check_card(bad, rules=RULES, row=3)
    card = check_card(good, rules=RULES)

    assert [(e.row, e.code) for e in errors] == [
        (3, "code_charset"),
        (3, "invalid_pin"),
        (3, "invalid_date"),
        (3, "invalid_amount"),
    ]
    assert "nary" not in repr(errors)
    assert repr(card) == (
        "Card(number=Secret(****6666), pin=Secret(****), expires_on=None, cost_minor=None, "
        "warnings=())"
    )


@given(st.text(max_size=70))
def test_a_canonical_code_stays_as_it_is(text):
    code = canonical_code(text)

    if not isinstance(code, CellProblem):
        assert canonical_code(code) == code
        assert code.isascii()
        assert code == code.upper()
