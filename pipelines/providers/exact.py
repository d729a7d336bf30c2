"""Read and write the vendors' JSON and amounts exactly, never through a float."""

import json
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal

from pipelines.currencies import exponent, is_accepted

#: No vendor amount is longer; a wild exponent must not become a wild integer.
_MAGNITUDE_MAX = 12
#: Longer fractions would be rounded by the decimal context before anybody looks.
_FIGURES_MAX = 28


class Unreadable(ValueError):
    """The vendor's text is not what its documentation says; carries no part of it."""


def decode_json(body: bytes) -> object:
    """The JSON value in `body`, numbers as int or Decimal; raises `Unreadable`."""
    unreadable = False
    value: object = None
    try:
        value = json.loads(body, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        unreadable = True
    if unreadable:  # outside the handler, so that no quoted body hangs on the exception
        raise Unreadable("not JSON")
    return value


def _refuse_constant(_text: str) -> object:
    raise Unreadable("not a JSON number")


def encode_json(value: object) -> bytes:
    """`value` as JSON bytes; a Decimal is written digit by digit (25.1 stays 25.1)."""
    return _text(value).encode()


def _text(value: object) -> str:
    match value:
        case Decimal():
            return format(value, "f")
        case dict():
            return "{" + ",".join(f"{json.dumps(k)}:{_text(v)}" for k, v in value.items()) + "}"
        case list() | tuple():
            return "[" + ",".join(map(_text, value)) + "]"
        case _:
            return json.dumps(value)


def to_amount(minor: int, currency: str) -> Decimal:
    """2510 USD -> 25.1, 500 JPY -> 500: the shortest exact number."""
    amount = Decimal(minor).scaleb(-exponent(currency)).normalize()
    return amount if int(amount.as_tuple().exponent) <= 0 else amount.quantize(Decimal(1))


def to_minor(value: object, currency: str) -> int:
    """The vendor's amount in minor units; raises `Unreadable` unless that is exact."""
    scaled = _scaled(value, currency)
    if scaled != scaled.to_integral_value():
        raise Unreadable("the amount has more digits than its currency")
    return int(scaled)


def to_minor_half_up(value: object, currency: str) -> int:
    """The vendor's amount in minor units, half a unit rounded up: for costs, which have tails."""
    return int(_scaled(value, currency).to_integral_value(ROUND_HALF_UP))


def to_minor_floor(value: object, currency: str) -> int:
    """The vendor's amount in minor units, rounded down: for balances."""
    return int(_scaled(value, currency).to_integral_value(ROUND_FLOOR))


def _scaled(value: object, currency: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise Unreadable("the amount is not a number")
    if not is_accepted(currency):
        raise Unreadable("the currency is not known")
    amount = Decimal(value)
    if not amount.is_finite() or (
        amount and not -_MAGNITUDE_MAX < amount.adjusted() < _MAGNITUDE_MAX
    ):
        raise Unreadable("the amount is out of range")
    if len(amount.as_tuple().digits) > _FIGURES_MAX:
        raise Unreadable("the amount has too many digits")
    return amount.scaleb(exponent(currency))
