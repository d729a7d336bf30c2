"""Reloadly's products and prices: what may be ordered and what it costs the account."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from flask import Blueprint, Response, request

from ops.sandbox.reloadly_door import Refused
from ops.sandbox.reloadly_paging import page_asked, report_page
from ops.sandbox.wire import reply

ACCOUNT_CURRENCY = "USD"
ACCOUNT_CURRENCY_NAME = "US Dollar"

#: Products in one page of the catalogue.
PAGE_PRODUCTS_MAX = 200

#: Account currency for one unit of the card's currency.
RATES = {"USD": Decimal(1), "EUR": Decimal("1.08515"), "JPY": Decimal("0.006712")}


INSTRUCTION = {
    "concise": "Enter the card number and the PIN at the checkout.",
    "verbose": "Open the shop, fill the cart, and enter the card number and the PIN.",
}


class WrongPrice(Exception):
    """The product is not sold at this face value."""


@dataclass(frozen=True, slots=True)
class Product:
    """Exactly one of `denominations` and the range of `least` to `most` says the face values."""

    product_id: int
    name: str
    currency: str
    country: str
    country_name: str
    discount_percentage: Decimal
    denominations: tuple[Decimal, ...] = ()
    least: Decimal = Decimal(0)
    most: Decimal = Decimal(0)
    fee_percentage: Decimal = Decimal(0)
    flat_fee: Decimal = Decimal(0)
    #: An on-demand product answers PROCESSING and settles this much later.
    settles_after_seconds: float = 0.0

    @property
    def rate(self) -> Decimal:
        return RATES[self.currency]

    @property
    def brand(self) -> dict[str, Any]:
        return {"brandId": self.product_id // 10, "brandName": self.name.rsplit(" ", 1)[0]}

    def check(self, unit_price: Decimal) -> None:
        """Raise unless the product is sold at this face value."""
        if self.denominations:
            if unit_price not in self.denominations:
                raise WrongPrice
        elif not self.least <= unit_price <= self.most:
            raise WrongPrice

    def neighbour(self, unit_price: Decimal) -> Decimal:
        """Another face value the product is sold at."""
        if self.denominations:
            return next(value for value in self.denominations if value != unit_price)
        return unit_price + 1 if unit_price + 1 <= self.most else unit_price - 1


@dataclass(frozen=True, slots=True)
class Price:
    """One transaction in the account's currency, rounded to five decimals."""

    face: Decimal
    discount: Decimal
    fee: Decimal
    amount: Decimal


def price(product: Product, unit_price: Decimal, quantity: int) -> Price:
    """Cost per card: face × (1 − discount + fee) + flat fee."""
    face = unit_price * product.rate * quantity
    discount = face * product.discount_percentage / 100
    fee = face * product.fee_percentage / 100 + product.flat_fee * quantity
    return Price(*(_rounded(part) for part in (face, discount, fee, face - discount + fee)))


PRODUCTS = {
    product.product_id: product
    for product in (
        Product(
            120, "Nile Shop US", "USD", "US", "United States", Decimal("5.5"),
            least=Decimal(1), most=Decimal(500),
        ),
        Product(
            121, "Nile Games US", "USD", "US", "United States", Decimal(3),
            denominations=(Decimal(10), Decimal(25), Decimal(50), Decimal(100)),
        ),
        Product(
            130, "Nile Shop DE", "EUR", "DE", "Germany", Decimal("4.25"),
            least=Decimal(1), most=Decimal(250), flat_fee=Decimal("0.1"),
        ),
        Product(
            140, "Nile Shop JP", "JPY", "JP", "Japan", Decimal(2),
            least=Decimal(100), most=Decimal(50_000), fee_percentage=Decimal("0.5"),
        ),
        Product(
            150, "Nile Prepaid US", "USD", "US", "United States", Decimal("0.5"),
            least=Decimal(5), most=Decimal(500), settles_after_seconds=2.0,
        ),
    )
}  # fmt: skip


def show_catalogue(pages: Blueprint) -> None:
    """Add the pages that tell what can be bought and for how much."""

    @pages.get("/products")
    def list_products() -> Response:
        number, size = page_asked(request.args, size_max=PAGE_PRODUCTS_MAX)
        wanted = [record for record in map(product_record, PRODUCTS.values()) if _fits(record)]
        content = wanted[number * size : (number + 1) * size]
        return reply(report_page(content, total=len(wanted), number=number, size=size))

    @pages.get("/products/<int:product_id>")
    def show_product(product_id: int) -> Response:
        return reply(product_record(_listed(product_id)))

    @pages.get("/products/<int:product_id>/redeem-instructions")
    def show_instructions(product_id: int) -> Response:
        product = _listed(product_id)
        return reply({**product.brand, **INSTRUCTION})

    @pages.get("/products/<int:product_id>/discounts")
    def show_discount(product_id: int) -> Response:
        return reply(discount_record(_listed(product_id)))

    @pages.get("/countries/<country>/products")
    def list_country(country: str) -> Response:
        sold = [p for p in PRODUCTS.values() if p.country == country.upper()]
        return reply([product_record(product) for product in sold])

    @pages.get("/fx-rate")
    def convert() -> Response:
        currency = request.args.get("currencyCode", "")
        try:
            amount = Decimal(request.args.get("amount", "1"))
        except InvalidOperation:
            amount = Decimal("NaN")
        if currency not in RATES or not amount.is_finite():
            raise Refused(400, "Invalid input provided", "INVALID_INPUT_PROVIDED")
        converted = _rounded(amount * RATES[currency])
        answer = {"senderCurrency": ACCOUNT_CURRENCY, "senderAmount": converted}
        return reply({**answer, "recipientCurrency": currency, "recipientAmount": amount})


def _listed(product_id: int) -> Product:
    if product_id not in PRODUCTS:
        raise Refused(404, "Product was either not found or is not available", "INVALID_PRODUCT")
    return PRODUCTS[product_id]


def _fits(record: dict[str, Any]) -> bool:
    """Apply the catalogue's filters; a range or fixed product is left out on request only."""
    asked = request.args
    is_range = record["denominationType"] == "RANGE"
    is_asked = asked.get("includeRange" if is_range else "includeFixed", "true") != "false"
    name = asked.get("productName", "").casefold()
    country = asked.get("countryCode", record["country"]["isoName"])
    return (
        is_asked
        and name in record["productName"].casefold()
        and country == record["country"]["isoName"]
    )


def product_record(product: Product) -> dict[str, Any]:
    """Write a product as the catalogue shows it; the denomination map is an object."""
    fixed = list(product.denominations)
    in_account = [_rounded(value * product.rate) for value in fixed]
    is_fixed = bool(fixed)
    return {
        "productId": product.product_id,
        "productName": product.name,
        "global": False,
        "status": "ACTIVE",
        "supportsPreOrder": False,
        "senderFee": product.flat_fee,
        "senderFeePercentage": product.fee_percentage,
        "discountPercentage": product.discount_percentage,
        "denominationType": "FIXED" if is_fixed else "RANGE",
        "recipientCurrencyCode": product.currency,
        "minRecipientDenomination": None if is_fixed else product.least,
        "maxRecipientDenomination": None if is_fixed else product.most,
        "senderCurrencyCode": ACCOUNT_CURRENCY,
        "recipientCurrencyToSenderCurrencyExchangeRate": product.rate,
        "minSenderDenomination": None if is_fixed else _rounded(product.least * product.rate),
        "maxSenderDenomination": None if is_fixed else _rounded(product.most * product.rate),
        "fixedRecipientDenominations": fixed,
        "fixedSenderDenominations": in_account if is_fixed else None,
        "fixedRecipientToSenderDenominationsMap": (
            {f"{value:.1f}": cost for value, cost in zip(fixed, in_account, strict=True)}
            if is_fixed
            else None
        ),
        "metadata": None,
        "logoUrls": [],
        "brand": product.brand,
        "category": {"id": 1, "name": "Shopping"},
        "country": {
            "isoName": product.country,
            "name": product.country_name,
            "flagUrl": None,
        },
        "redeemInstruction": INSTRUCTION,
        "additionalRequirements": {"userIdRequired": False},
    }


def discount_record(product: Product) -> dict[str, Any]:
    return {
        "product": {
            "productId": product.product_id,
            "productName": product.name,
            "countryCode": product.country,
            "global": False,
        },
        "discountPercentage": product.discount_percentage,
    }


def _rounded(value: Decimal) -> Decimal:
    return value.quantize(Decimal("1E-5"))
