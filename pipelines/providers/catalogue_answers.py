"""Read the vendors' catalogues: from their answers to products, without any call.

A product that cannot be read is left out: nobody could order it by what is said of it. What a card
costs is told only where the vendor's words say it for cards in the account's own currency.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from decimal import ROUND_CEILING, Decimal

from pipelines.currencies import exponent
from pipelines.providers.asking import as_currency, as_object, as_text, not_found, not_told
from pipelines.providers.exact import Unreadable, decode_json, to_minor
from pipelines.providers.ports import CataloguePage, Product, Unknown
from pipelines.providers.transport import Answer

_WHOLE_BP = 10_000
#: The currency of a Tango account whose fees are told in it; what other accounts pay is not known.
_TANGO_CURRENCY = "USD"


def read_reloadly(answer: Answer) -> CataloguePage | Unknown:
    """One page of `GET /products`; its pages are asked for from 1 and counted from 0."""

    def read(body: object) -> CataloguePage:
        page = as_object(body)
        number = page.get("number")
        if not isinstance(number, int) or not isinstance(page.get("last"), bool):
            raise Unreadable("not a page")
        after = None if page["last"] else str(number + 2)
        return CataloguePage(_each(page.get("content"), _reloadly), after)

    return _page(answer, read)


def read_tango(answer: Answer) -> CataloguePage | Unknown:
    """`GET /catalogs`: all items of all brands at once."""

    def read(body: object) -> CataloguePage:
        brands = as_object(body).get("brands")
        if not isinstance(brands, list):
            raise Unreadable("no brands")
        items = [item for brand in brands for item in _listed(as_object(brand).get("items"))]
        return CataloguePage(_each(items, _tango), None)

    return _page(answer, read)


def read_tremendous(answer: Answer) -> CataloguePage | Unknown:
    """`GET /products`: all at once; a product in several currencies is sold in the first."""
    return _page(
        answer,
        lambda body: CataloguePage(_each(as_object(body).get("products"), _tremendous), None),
    )


def read_giftbit_list(answer: Answer, offset: int) -> CataloguePage | Unknown:
    """One page of `GET /brands`, which names brands; each is then asked for by itself."""

    def read(body: object) -> CataloguePage:
        page = as_object(body)
        found = _listed(page.get("brands"))
        codes = [as_text(as_object(brand).get("brand_code")) for brand in found]
        total = page.get("total_count")
        upto = offset + len(codes)
        is_last = not codes or not isinstance(total, int) or upto >= total
        return CataloguePage((), giftbit_place("" if is_last else str(upto), codes))

    return _page(answer, read)


def read_giftbit_brand(answer: Answer, after: str | None) -> CataloguePage | Unknown:
    """One brand of `GET /brands/{code}`; one that is gone meanwhile is left out."""
    if not_found(answer):
        return CataloguePage((), after)
    return _page(
        answer, lambda body: CataloguePage(_each([as_object(body).get("brand")], _giftbit), after)
    )


def giftbit_place(offset: str, codes: Iterable[str | None]) -> str | None:
    """Where reading goes on: the next offset, if any, and the brands to be asked for before."""
    left = ",".join(code for code in codes if code)
    return f"{offset}|{left}" if offset or left else None


def _page(answer: Answer, read: Callable[[object], CataloguePage]) -> CataloguePage | Unknown:
    if answer.status != 200:
        return not_told(answer)
    try:
        return read(decode_json(answer.body))
    except Unreadable:
        return Unknown("unreadable_answer")


def _each(
    found: object, read: Callable[[Mapping[str, object]], Product | None]
) -> tuple[Product, ...]:
    return tuple(_readable(_listed(found), read))


def _readable(
    found: list[object], read: Callable[[Mapping[str, object]], Product | None]
) -> Iterator[Product]:
    for one in found:
        with suppress(Unreadable):
            if (product := read(as_object(one))) is not None:
                yield product


def _listed(value: object) -> list[object]:
    if not isinstance(value, list):
        raise Unreadable("not a list")
    return value


def _reloadly(row: Mapping[str, object]) -> Product | None:
    """Cost per card: face x (1 - discount + fee) + flat fee, in the account's currency."""
    if row.get("status") not in (None, "ACTIVE"):
        return None
    currency, paid_in = as_currency(row.get("recipientCurrencyCode")), row.get("senderCurrencyCode")
    fixed = row.get("denominationType") == "FIXED"
    share: int | None = None
    flat: int | None = None
    if paid_in == currency:
        percent = (
            100 - _number(row.get("discountPercentage")) + _number(row.get("senderFeePercentage"))
        )
        share, flat = _basis_points(percent), _up(row.get("senderFee"), currency)
    country = as_text(as_object(row.get("country") or {}).get("isoName"))
    return Product(
        _identity(row.get("productId")),
        as_text(row.get("productName")) or "",
        currency,
        (country,) if country else (),
        least_minor=None if fixed else _amount(row.get("minRecipientDenomination"), currency),
        most_minor=None if fixed else _amount(row.get("maxRecipientDenomination"), currency),
        fixed_minor=_amounts(row.get("fixedRecipientDenominations"), currency) if fixed else (),
        cost_bp=share,
        cost_flat_minor=flat,
        cost_currency=None if share is None else currency,
    )


def _tango(row: Mapping[str, object]) -> Product | None:
    if row.get("status") not in (None, "active"):
        return None
    currency = as_currency(row.get("currencyCode"))
    fixed = _amount(row.get("faceValue"), currency)
    share, flat = _tango_cost(row.get("fee"), currency)
    return Product(
        _identity(row.get("utid")),
        as_text(row.get("rewardName")) or "",
        currency,
        _countries(row.get("countries")),
        least_minor=_amount(row.get("minValue"), currency),
        most_minor=_amount(row.get("maxValue"), currency),
        fixed_minor=() if fixed is None else (fixed,),
        cost_bp=share,
        cost_flat_minor=flat,
        cost_currency=None if share is None else currency,
    )


def _tango_cost(fee: object, currency: str) -> tuple[int | None, int | None]:
    """The face value, and the fee where it is a flat one."""
    if currency != _TANGO_CURRENCY or not isinstance(fee, dict) or fee.get("type") != "FLAT":
        return None, None
    return _WHOLE_BP, _up(fee.get("value"), currency)


def _tremendous(row: Mapping[str, object]) -> Product | None:
    """What it costs is not in the catalogue."""
    currencies = _listed(row.get("currency_codes"))
    currency = as_currency(currencies[0] if currencies else None)
    skus = [as_object(sku) for sku in _listed(row.get("skus"))]
    least = [_amount(sku.get("min"), currency) for sku in skus]
    most = [_amount(sku.get("max"), currency) for sku in skus]
    countries = [as_object(one).get("abbr") for one in _listed(row.get("countries"))]
    return Product(
        _identity(row.get("id")),
        as_text(row.get("name")) or "",
        currency,
        _countries(countries),
        least_minor=min((value for value in least if value is not None), default=None),
        most_minor=max((value for value in most if value is not None), default=None),
    )


def _giftbit(row: Mapping[str, object]) -> Product | None:
    """What it costs is not in the catalogue; its regions are Giftbit's own numbers."""
    currency = as_currency(row.get("fund_currencyisocode"))
    fixed = row.get("allowed_prices_in_cents", [])
    return Product(
        _identity(row.get("brand_code")),
        as_text(row.get("name")) or "",
        currency,
        least_minor=_cents(row.get("min_price_in_cents")),
        most_minor=_cents(row.get("max_price_in_cents")),
        fixed_minor=tuple(filter(None, map(_cents, _listed(fixed)))),
    )


def _identity(value: object) -> str:
    text = as_text(value)
    if text is None or len(text) > 100:
        raise Unreadable("a product without an id")
    return text


def _countries(value: object) -> tuple[str, ...]:
    found = value if isinstance(value, list) else []
    return tuple(one for one in found if isinstance(one, str) and len(one) == 2)


def _cents(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _amount(value: object, currency: str) -> int | None:
    return None if value is None else to_minor(value, currency)


def _amounts(value: object, currency: str) -> tuple[int, ...]:
    return tuple(to_minor(one, currency) for one in _listed(value))


def _number(value: object) -> Decimal:
    if value is None:
        return Decimal(0)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise Unreadable("not a number")
    number = Decimal(value)
    if not number.is_finite() or abs(number) > 1000:
        raise Unreadable("out of range")
    return number


def _basis_points(percent: Decimal) -> int:
    """Rounded up: a cost is never told too low."""
    return int((percent * 100).to_integral_value(ROUND_CEILING))


def _up(value: object, currency: str) -> int:
    """A fee in minor units, rounded up."""
    amount = _number(value).scaleb(exponent(currency))
    return int(amount.to_integral_value(ROUND_CEILING))
