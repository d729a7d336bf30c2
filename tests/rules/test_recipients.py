"""One recipient, one verdict: fields, amounts and codes of a row or a JSON member."""

from dataclasses import replace

import pytest

from pipelines.provisioning.recipients import (
    DeliveryMethod,
    Recipient,
    RecipientRules,
    Warn,
    check_recipient,
)

BY_EMAIL = RecipientRules(
    DeliveryMethod.EMAIL, "USD", default_denomination_minor=2500, default_brand="coffee"
)
BY_SMS = replace(BY_EMAIL, delivery_method=DeliveryMethod.SMS)
NOT_DELIVERED = replace(BY_EMAIL, delivery_method=DeliveryMethod.NONE)


def codes(cells, rules=BY_EMAIL):
    verdict = check_recipient(cells, rules=rules, row=1)
    return {e.field: e.code for e in verdict} if isinstance(verdict, tuple) else {}


def amount_of(value, currency="USD", column="amount"):
    rules = replace(BY_EMAIL, currency=currency)
    verdict = check_recipient({"email": "a@x.de", column: value}, rules=rules)
    return verdict[0].code if isinstance(verdict, tuple) else verdict.denomination_minor


def test_a_full_row_is_accepted_as_given():
    cells = {
        "reference": " EMP-1 ",
        "email": " Ann@X.de ",
        "name": " Ann, “Nan” ",
        "phone": "+49 30 901820",
        "denomination_minor": "1000",
        "brand": "books",
    }

    assert check_recipient(cells, rules=BY_EMAIL) == Recipient(
        reference=" EMP-1 ",
        email="Ann@x.de",
        name=" Ann, “Nan” ",
        phone="+4930901820",
        denomination_minor=1000,
        brand="books",
    )


def test_an_address_alone_takes_the_rest_from_the_request():
    assert check_recipient({"email": "a@x.de", "name": ""}, rules=BY_EMAIL) == Recipient(
        reference=None,
        email="a@x.de",
        name=None,
        phone=None,
        denomination_minor=2500,
        brand="coffee",
    )


def test_everything_wrong_is_said_at_once_with_its_place():
    cells = {"email": "a@@x.de", "name": "n" * 201, "denomination_minor": "1.5"}

    in_csv = check_recipient(cells, rules=BY_EMAIL, row=7)
    in_json = check_recipient(cells, rules=BY_EMAIL, pointer="/recipients/6")

    assert [(e.row, e.field, e.code) for e in in_csv] == [
        (7, "email", "invalid_email"),
        (7, "name", "too_long"),
        (7, "denomination_minor", "invalid_amount"),
    ]
    assert [e.as_json()["pointer"] for e in in_json] == [
        "/recipients/6/email",
        "/recipients/6/name",
        "/recipients/6/denomination_minor",
    ]


def test_no_detail_echoes_a_value():
    cells = {"email": "canary@@x.de", "phone": "canary", "amount": "canary", "name": "canary\x01"}

    errors = check_recipient(cells, rules=BY_EMAIL)

    assert len(errors) == 4
    assert "canary" not in repr(errors)


@pytest.mark.parametrize(
    ("rules", "cells", "expected"),
    [
        (BY_EMAIL, {"phone": "+4930901820"}, {"email": "required"}),
        (BY_EMAIL, {"email": "  "}, {"email": "required"}),
        (BY_SMS, {"email": "a@x.de"}, {"phone": "required"}),
        (BY_SMS, {"phone": "030 901820"}, {"phone": "invalid_phone"}),
        (BY_SMS, {"phone": "+4930901820"}, {}),
        (NOT_DELIVERED, {"name": "Ann"}, {"reference": "required"}),
        (NOT_DELIVERED, {"reference": "7"}, {}),
        (NOT_DELIVERED, {"email": "a@@x.de", "reference": "7"}, {"email": "invalid_email"}),
        (BY_EMAIL, {"email": "a@x.de", "phone": "call me"}, {"phone": "invalid_phone"}),
    ],
)
def test_the_delivery_method_says_what_is_required(rules, cells, expected):
    assert codes(cells, rules) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("n" * 200, {}),
        ("n" * 201, {"name": "too_long"}),
        ("=1+1", {}),
        ("\t=1", {}),
        ("\r=1", {}),
        ("＝1+1", {}),
        ("<script>{{7*7}}'; DROP TABLE x", {}),
        ("An\u2028na\x85 \v\f Lee", {}),
        ("Ann\nLee", {}),
        ("x\r\nBcc: z@z", {"name": "illegal_character"}),
        ("x\nBcc:z@z", {"name": "illegal_character"}),
        ("x\x1a", {"name": "illegal_character"}),
        ("x\0", {"name": "illegal_character"}),
        ("x\x7f", {"name": "illegal_character"}),
    ],
    ids=ascii,
)
def test_a_name_is_free_text_but_for_controls_and_mail_headers(name, expected):
    """B10, B12, B15, B34, B35, J22."""
    assert codes({"email": "a@x.de", "name": name}) == expected


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("r" * 255, {}),
        ("r" * 256, {"reference": "external_id_length"}),
        ("a b", {}),
        ("a\tb", {"reference": "illegal_character"}),
        ("a\nb", {"reference": "illegal_character"}),
        ("a\u2028b", {"reference": "illegal_character"}),
    ],
    ids=ascii,
)
def test_a_reference_is_kept_exactly_or_refused(reference, expected):
    """B59."""
    assert codes({"email": "a@x.de", "reference": reference}) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1", 1),
        ("9999999999999", 9_999_999_999_999),
        (2500, 2500),
        ("0", "amount_not_positive"),
        (0, "amount_not_positive"),
        ("10000000000000", "amount_out_of_range"),
        (10**13, "amount_out_of_range"),
        ("9" * 4_096, "amount_out_of_range"),
        *((v, "invalid_amount") for v in ["-5", "+5", "5.0", "1e3", "05", " 5", "5 ", "٥", "５"]),
        *((v, "invalid_amount") for v in [-5, True, "NaN", "1_000", "5\n", "-0", "$5"]),
    ],
    ids=ascii,
)
def test_minor_units_are_plain_digits(value, expected):
    assert amount_of(value, column="denomination_minor") == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("25", 2500),
        ("25.5", 2550),
        ("25.50", 2550),
        ("0.01", 1),
        ("9999999999.99", 999_999_999_999),
        *((v, "amount_not_positive") for v in ["0", "0.0", "0.00"]),
        *((v, "invalid_amount") for v in ["-5", "-0", "NaN", "Infinity", "1e3", "1E999999"]),
        *((v, "invalid_amount") for v in ["5,00", "1,000.00", "$5", "5 USD", "+5", " 5", "5\n"]),
        *((v, "invalid_amount") for v in [".5", "5.", "05", "1_000", "٥", "５", "5\u200b", 25]),
        *((v, "invalid_precision") for v in ["5.005", "0.001", "5.000"]),
        *((v, "amount_out_of_range") for v in ["99999999999", "9" * 40]),
    ],
    ids=ascii,
)
def test_decimals_are_converted_exactly_or_refused(value, expected):
    """B36 to B41."""
    assert amount_of(value) == expected


@pytest.mark.parametrize(
    ("value", "currency", "expected"),
    [
        ("100", "JPY", 100),
        ("100.50", "JPY", "invalid_precision"),
        ("1.234", "KWD", 1234),
        ("1.2", "KWD", 1200),
        ("1.2345", "KWD", "invalid_precision"),
    ],
)
def test_the_currency_says_how_many_decimals(value, currency, expected):
    """B43."""
    assert amount_of(value, currency) == expected


def test_a_row_says_its_amount_once():
    both = {"email": "a@x.de", "amount": "25", "denomination_minor": "2500"}
    rules = replace(BY_EMAIL, default_denomination_minor=None, default_brand=None)

    assert codes(both) == {"amount": "invalid_amount"}
    assert codes({"email": "a@x.de"}, rules) == {
        "denomination_minor": "required",
        "brand": "required",
    }
    assert codes({"email": "a@x.de", "amount": "", "denomination_minor": "5"}) == {}


def test_tags_and_look_alikes_are_warned_about():
    """B48, B49."""
    tagged = check_recipient({"email": "a+1@x.de"}, rules=BY_EMAIL)
    mixed = check_recipient({"email": "pаypal+1@x.de"}, rules=BY_EMAIL)

    assert tagged.warnings == (Warn.PLUS_ADDRESS,)
    assert mixed.warnings == (Warn.CONFUSABLE_ADDRESS, Warn.PLUS_ADDRESS)
