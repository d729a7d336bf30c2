"""Tremendous' products and prices: what may be ordered and what it costs the account in dollars."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from flask import Blueprint, Response, request

from ops.sandbox.tremendous_door import Refused
from ops.sandbox.wire import reply

#: Dollars for one unit of the card's currency.
RATES = {"USD": Decimal(1), "EUR": Decimal("1.08515")}


@dataclass(frozen=True, slots=True)
class Product:
    product_id: str
    name: str
    currency: str
    country: str
    least: Decimal
    most: Decimal
    category: str = "merchant_card"
    fee_percentage: Decimal = Decimal(0)

    def sells(self, value: Decimal) -> bool:
        return self.least <= value <= self.most


@dataclass(frozen=True, slots=True)
class Price:
    """What an order costs the account, in dollars."""

    subtotal: Decimal
    fees: Decimal

    @property
    def total(self) -> Decimal:
        return self.subtotal + self.fees


def price(product: Product, value: Decimal) -> Price:
    subtotal = value * RATES[product.currency]
    return Price(subtotal, subtotal * product.fee_percentage / 100)


PRODUCTS = {
    product.product_id: product
    for product in (
        Product("NILEBOOKSUS1", "Nile Books US", "USD", "US", Decimal(1), Decimal(2000)),
        Product(
            "NILEVISAUS01", "Nile Prepaid Visa", "USD", "US", Decimal(5), Decimal(1000),
            category="visa_card", fee_percentage=Decimal(3),
        ),
        Product("NILEBOOKSDE1", "Nile Books DE", "EUR", "DE", Decimal(1), Decimal(500)),
    )
}  # fmt: skip


def show_catalogue(pages: Blueprint) -> None:
    """Add the pages that tell what can be bought."""

    @pages.get("/products")
    def list_products() -> Response:
        countries = {part for part in request.args.get("country", "").split(",") if part}
        currencies = {part for part in request.args.get("currency", "").split(",") if part}
        listed = [
            product_record(product)
            for product in PRODUCTS.values()
            if (not countries or product.country in countries)
            and (not currencies or product.currency in currencies)
        ]
        return reply({"products": listed})

    @pages.get("/products/<product_id>")
    def show_product(product_id: str) -> Response:
        if product_id not in PRODUCTS:
            raise Refused(404, "Product not found")
        return reply({"product": product_record(PRODUCTS[product_id])})


def product_record(product: Product) -> dict[str, Any]:
    return {
        "id": product.product_id,
        "name": product.name,
        "description": f"{product.name}, redeemed by its link.",
        "category": product.category,
        "subcategory": None,
        "currency_codes": [product.currency],
        "countries": [{"abbr": product.country}],
        "skus": [{"min": product.least, "max": product.most}],
        "images": [],
        "disclosure": "",
        "usage_instructions": None,
        "documents": None,
    }
