"""Numbers, money and times as people read them: pure."""

from datetime import UTC, datetime

from babel.numbers import format_compact_decimal, format_decimal

from pipelines.currencies import exponent
from pipelines.currencies import money as money  # noqa: PLC0414

LOCALE = "en_US"
MINUTE_SECONDS, HOUR_SECONDS, DAY_SECONDS = 60, 3600, 86400


def decimal_of(minor: int, currency: str) -> str:
    """`1234.50`, as a form's field takes it back."""
    digits = exponent(currency)
    whole, rest = divmod(minor, 10**digits)
    return f"{whole}.{rest:0{digits}d}" if digits else str(whole)


def number(value: float) -> str:
    """`61,204`"""
    return format_decimal(value, locale=LOCALE)


def rounded(value: float) -> str:
    """`61K`, for places where the exact number stands nearby."""
    return format_compact_decimal(value, locale=LOCALE, fraction_digits=1)


def moment(at: datetime | None) -> str:
    """`20 Nov 2026, 14:06 UTC`"""
    return "–" if at is None else f"{at.astimezone(UTC):%-d %b %Y, %H:%M} UTC"


def instant(at: datetime) -> str:
    """`20 Nov 2026, 14:06:31 UTC`, where seconds tell whether something lives"""
    return f"{at.astimezone(UTC):%-d %b %Y, %H:%M:%S} UTC"


def span(seconds: float) -> str:
    """`about 4 min`: a duration to plan by, not to measure by."""
    if seconds < MINUTE_SECONDS:
        return f"{max(1, round(seconds))} s"
    if seconds < HOUR_SECONDS:
        return f"{round(seconds / MINUTE_SECONDS)} min"
    if seconds < DAY_SECONDS:
        return f"{seconds / HOUR_SECONDS:.1f} h"
    return f"{seconds / DAY_SECONDS:.1f} days"


def size(octets: int) -> str:
    """`1.4 MB`"""
    if octets < 1024:
        return f"{octets} bytes"
    if octets < 1024 * 1024:
        return f"{octets / 1024:.0f} KB"
    return f"{octets / 1024 / 1024:.1f} MB"


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 row`, `2 rows`"""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def masked_email(address: str | None) -> str:
    """`a•••@example.com`: enough to recognise, not enough to write to."""
    if not address:
        return "–"
    local, at, domain = address.partition("@")
    return f"{local[:1]}•••{at}{domain}"


def grouped(code: str) -> str:
    """A card number in groups of four, as it is printed on cards."""
    compact = code.replace(" ", "")
    if "-" in compact or not compact.isalnum():
        return code
    return " ".join(compact[start : start + 4] for start in range(0, len(compact), 4))
