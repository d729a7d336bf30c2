"""What Stripe counts an amount in, and the least and most that it takes: pure.

Our minor units are those of ISO 4217; Stripe's differ for a few currencies.
"""

from collections.abc import Mapping
from types import MappingProxyType

from pipelines.currencies import exponent

#: Currencies that Stripe counts whole.
_WHOLE = frozenset(
    "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split()  # noqa: SIM905
)
#: Whole by ISO 4217, and counted by Stripe with two digits that are zero.
_TWO_ZEROS = frozenset({"ISK", "UGX"})
#: Counted with three digits, of which the last is zero.
_LAST_ZERO = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
#: The smallest charge in Stripe's units, from its table of currencies.
MINIMUMS: Mapping[str, int] = MappingProxyType(
    {
        "USD": 50,
        "AED": 200,
        "AUD": 50,
        "BGN": 100,
        "BRL": 50,
        "CAD": 50,
        "CHF": 50,
        "CZK": 1500,
        "DKK": 250,
        "EUR": 50,
        "GBP": 30,
        "HKD": 400,
        "HUF": 17500,
        "INR": 50,
        "JPY": 50,
        "MXN": 1000,
        "MYR": 200,
        "NOK": 300,
        "NZD": 50,
        "PLN": 200,
        "RON": 200,
        "SEK": 300,
        "SGD": 50,
    }
)
#: Eight digits.
MAXIMUM = 99_999_999


class Unpayable(ValueError):
    """Stripe cannot count this amount: it has digits that the currency has not there."""


def to_stripe(minor: int, currency: str) -> int:
    """An amount of ours as Stripe counts it; raises `Unpayable`."""
    shift = _stripe_exponent(currency) - exponent(currency)
    if shift >= 0:
        amount = minor * _power(shift)
    else:
        amount, rest = divmod(minor, _power(-shift))
        if rest:
            raise Unpayable
    if currency in _LAST_ZERO and amount % 10:
        raise Unpayable
    return amount


def from_stripe(amount: int, currency: str) -> int:
    """An amount of Stripe's in our minor units; raises `Unpayable` for a part of one."""
    shift = exponent(currency) - _stripe_exponent(currency)
    if shift >= 0:
        return amount * _power(shift)
    minor, rest = divmod(amount, _power(-shift))
    if rest:
        raise Unpayable
    return minor


def least_minor(currency: str) -> int:
    """The smallest charge that Stripe is known to take, in our minor units; 1 if nobody says."""
    known = MINIMUMS.get(currency)
    return 1 if known is None else from_stripe(known, currency)


def _stripe_exponent(currency: str) -> int:
    if currency in _WHOLE:
        return 0
    return 2 if currency in _TWO_ZEROS else exponent(currency)


def _power(digits: int) -> int:
    return int(10**digits)
