"""What amounts Stripe takes: the least and the most of each currency, and its odd currencies."""

from collections.abc import Mapping

from ops.sandbox.stripe_door import Refused

#: The least total of a payment, in minor units. Others are not published: there, 1.
MINIMUMS: Mapping[str, int] = {
    "usd": 50,
    "aed": 200,
    "aud": 50,
    "bgn": 100,
    "brl": 50,
    "cad": 50,
    "chf": 50,
    "czk": 1500,
    "dkk": 250,
    "eur": 50,
    "gbp": 30,
    "hkd": 400,
    "huf": 17500,
    "inr": 50,
    "jpy": 50,
    "mxn": 1000,
    "myr": 200,
    "nok": 300,
    "nzd": 50,
    "pln": 200,
    "ron": 200,
    "sek": 300,
    "sgd": 50,
}
#: Eight digits.
AMOUNT_MAX = 99_999_999
#: Their last digit is always 0.
THREE_DECIMALS = {"bhd", "jod", "kwd", "omr", "tnd"}
#: Without minor units.
ZERO_DECIMALS = {
    "bif",
    "clp",
    "djf",
    "gnf",
    "jpy",
    "kmf",
    "krw",
    "mga",
    "pyg",
    "rwf",
    "vnd",
    "vuv",
    "xaf",
    "xof",
    "xpf",
}
#: Without minor units, and all the same sent with two decimals.
SENT_WITH_00 = {"isk", "ugx"}


def judge_total(total: int, currency: str) -> None:
    """Nothing to pay is fine; between that and the minimum no payment can be made."""
    minimum = MINIMUMS.get(currency, 1)
    if 0 < total < minimum:
        message = f"The Checkout Session's total amount must be at least {minimum} {currency}."
        raise Refused(400, message, code="amount_too_small", param="line_items")
    if total > AMOUNT_MAX:
        message = f"The Checkout Session's total amount must be at most {AMOUNT_MAX} {currency}."
        raise Refused(400, message, code="amount_too_large", param="line_items")


def judge_amount(amount: int, currency: str, param: str) -> int:
    if amount < 0:
        message = "This value must be greater than or equal to 0."
        raise Refused(400, message, code="parameter_invalid_integer", param=param)
    step = 10 if currency in THREE_DECIMALS else 100 if currency in SENT_WITH_00 else 1
    if amount % step:
        raise Refused(
            400, f"Invalid amount: must be a multiple of {step} in {currency}", param=param
        )
    return amount


def judge_currency(currency: str, param: str) -> str:
    if len(currency) != 3 or not currency.isalpha() or not currency.isascii():
        raise Refused(400, f"Invalid currency: {currency}", param=param)
    return currency.lower()


def decimals_of(currency: str) -> int:
    if currency in ZERO_DECIMALS:
        return 0
    return 3 if currency in THREE_DECIMALS else 2
