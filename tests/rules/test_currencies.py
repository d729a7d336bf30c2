"""One table of currencies: an amount means the same on a form, in the books and at a vendor."""

from decimal import Decimal

import pytest

from pipelines.currencies import EXPONENTS, exponent, is_accepted
from pipelines.jobs.cells import read_decimal
from pipelines.providers.exact import (
    Unreadable,
    decode_json,
    encode_json,
    to_amount,
    to_minor,
)
from pipelines.provisioning.recipients import DeliveryMethod, RecipientRules, check_recipient
from web.console.formats import money


@pytest.mark.parametrize("currency", sorted(EXPONENTS))
def test_an_amount_is_the_same_as_text_in_the_books_and_at_the_vendor(currency: str) -> None:
    smallest = "1" if exponent(currency) == 0 else "0." + "1".rjust(exponent(currency), "0")
    for text in (smallest, "1", "25", "100000"):
        minor = read_decimal(text, exponent=exponent(currency))
        assert isinstance(minor, int)
        sent = encode_json(to_amount(minor, currency))
        assert Decimal(sent.decode()) == Decimal(text)
        assert to_minor(decode_json(sent), currency) == minor


@pytest.mark.parametrize("currency", sorted(EXPONENTS))
def test_a_row_and_the_console_count_the_same_digits(currency: str) -> None:
    rules = RecipientRules(DeliveryMethod.NONE, currency, default_brand="Shop")
    checked = check_recipient({"reference": "r", "amount": "5000"}, rules=rules, row=1)

    assert not isinstance(checked, tuple)
    assert checked.denomination_minor == 5000 * 10 ** exponent(currency)
    shown = money(checked.denomination_minor, currency).rpartition("5,000")[2]
    assert shown == ("." + "0" * exponent(currency) if exponent(currency) else "")


@pytest.mark.parametrize(
    ("currency", "digits"),
    [("USD", 2), ("UGX", 0), ("ISK", 0), ("XOF", 0), ("JOD", 3), ("LYD", 3), ("HUF", 2)],
)
def test_the_digits_are_those_of_iso_4217(currency: str, digits: int) -> None:
    assert exponent(currency) == digits


@pytest.mark.parametrize("currency", ["ZZZ", "XAU", "XXX", "CLF", "UYI", "usd", ""])
def test_nobody_guesses_the_digits_of_another_currency(currency: str) -> None:
    assert not is_accepted(currency)
    with pytest.raises(LookupError):
        exponent(currency)
    with pytest.raises(Unreadable, match="the currency is not known"):
        to_minor(25, currency)
