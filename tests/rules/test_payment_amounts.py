"""What Stripe counts an amount in: every currency that we accept, exactly or not at all (EC-053)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.currencies import EXPONENTS
from pipelines.payments.amounts import MINIMUMS, Unpayable, from_stripe, least_minor, to_stripe
from pipelines.payments.begin import check_payable
from pipelines.payments.refusals import AmountOutOfRange, BelowMinimumCharge, InvalidPrecision


@pytest.mark.parametrize(
    ("minor", "currency", "amount"),
    [
        (1999, "USD", 1999),
        (1999, "JPY", 1999),
        (1999, "ISK", 199900),
        (1999, "UGX", 199900),
        (199900, "MGA", 1999),
        (19990, "KWD", 19990),
    ],
)
def test_ec053_an_amount_is_told_in_stripe_s_units(minor, currency, amount) -> None:
    assert to_stripe(minor, currency) == amount
    assert from_stripe(amount, currency) == minor


@pytest.mark.parametrize(("minor", "currency"), [(199901, "MGA"), (19991, "KWD")])
def test_ec053_what_has_digits_too_many_cannot_be_paid(minor, currency) -> None:
    with pytest.raises(InvalidPrecision) as refused:
        check_payable(minor, currency)
    assert refused.value.code == "invalid_precision"


@given(st.integers(0, 10**11), st.sampled_from(sorted(EXPONENTS)))
def test_ec053_there_and_back_is_the_same_amount(minor: int, currency: str) -> None:
    try:
        amount = to_stripe(minor, currency)
    except Unpayable:
        return
    assert from_stripe(amount, currency) == minor


@pytest.mark.parametrize("currency", [one for one in sorted(MINIMUMS) if one in EXPONENTS])
def test_ec019_less_than_the_smallest_charge_is_known_beforehand(currency: str) -> None:
    least = least_minor(currency)

    check_payable(least, currency)
    check_payable(0, currency)
    with pytest.raises(BelowMinimumCharge) as refused:
        check_payable(least - 1, currency)
    assert refused.value.extra == {"minimum_minor": least, "actual_minor": least - 1}


def test_ec038_more_than_eight_digits_is_refused() -> None:
    check_payable(99_999_999, "USD")
    with pytest.raises(AmountOutOfRange):
        check_payable(100_000_000, "USD")
