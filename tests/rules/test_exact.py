"""Amounts pass between our minor units and the vendors' numbers without losing anything."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.providers.exact import (
    Unreadable,
    decode_json,
    encode_json,
    to_amount,
    to_minor,
    to_minor_floor,
    to_minor_half_up,
)


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (2510, "USD", b"25.1"),
        (2500, "USD", b"25"),
        (10000, "USD", b"100"),
        (1, "USD", b"0.01"),
        (0, "USD", b"0"),
        (500, "JPY", b"500"),
        (1234, "KWD", b"1.234"),
    ],
)
def test_an_amount_is_written_in_its_shortest_exact_form(minor, currency, text):
    assert encode_json(to_amount(minor, currency)) == text


@given(st.integers(0, 10**12 - 1), st.sampled_from(["USD", "JPY", "KWD"]))
def test_an_amount_comes_back_as_it_went(minor, currency):
    assert to_minor(decode_json(encode_json(to_amount(minor, currency))), currency) == minor


@pytest.mark.parametrize(
    ("text", "minor"),
    [(b"505.00000000000", 50500), (b"5.05E+2", 50500), (b"505", 50500), (b"-1.5", -150)],
)
def test_odd_scales_are_read_exactly(text, minor):
    assert to_minor(decode_json(text), "USD") == minor


@pytest.mark.parametrize(
    "value",
    [Decimal("1.005"), Decimal("1E+999999"), Decimal("1.0" + "0" * 40), "1", True, None],
)
def test_an_amount_that_is_not_exact_is_unreadable(value):
    with pytest.raises(Unreadable):
        to_minor(value, "USD")


def test_costs_round_half_up_and_balances_down():
    assert to_minor_half_up(Decimal("1.005"), "USD") == 101
    assert to_minor_half_up(Decimal("3.8E-5"), "USD") == 0
    assert to_minor_floor(Decimal("1.009"), "USD") == 100
    assert to_minor_floor(Decimal("-1.001"), "USD") == -101


def test_unreadable_text_is_not_quoted_by_the_error():
    with pytest.raises(Unreadable) as caught:
        decode_json(b'{"cardNumber": "6012345678901234"')

    assert caught.value.__context__ is None
