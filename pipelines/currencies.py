"""The currencies we accept, their digits after the point (ISO 4217), and amounts in words."""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from babel.numbers import format_currency

#: Money that people pay with: no fund codes, metals, test codes or withdrawn currencies.
_BY_EXPONENT = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
    2: """
        AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF
        CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD
        HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA
        MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN
        QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP
        TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG
    """,
    3: "BHD IQD JOD KWD LYD OMR TND",
}
EXPONENTS: Mapping[str, int] = MappingProxyType(
    {code: digits for digits, codes in _BY_EXPONENT.items() for code in codes.split()}
)


def is_accepted(currency: str) -> bool:
    """Whether brands may sell in this currency."""
    return currency in EXPONENTS


def exponent(currency: str) -> int:
    """Digits after the point; LookupError for a currency that is not accepted: nobody guesses."""
    return EXPONENTS[currency]


def money(minor: int, currency: str) -> str:
    """`$1,234.50`: minor units with their currency."""
    digits = exponent(currency)
    pattern = "¤#,##0" + ("." + "0" * digits if digits else "")
    amount = Decimal(minor).scaleb(-digits)
    return format_currency(amount, currency, format=pattern, locale="en_US", currency_digits=False)
