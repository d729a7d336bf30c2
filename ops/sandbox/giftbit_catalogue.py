"""Giftbit's brands and prices, in whole cents: what may be ordered and what it costs."""

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, request

from ops.sandbox.giftbit_door import Refused, info
from ops.sandbox.wire import reply

PAGE_BRANDS = 20
REGIONS = {"CAD": 1, "USD": 2, "AUD": 4}
NAMES = {1: "Canada", 2: "USA", 4: "Australia"}


@dataclass(frozen=True, slots=True)
class Brand:
    """Exactly one of `prices` and the range of `least` to `most` says what may be given."""

    code: str
    name: str
    currency: str
    prices: tuple[int, ...] = ()
    least: int = 0
    most: int = 0
    #: What is charged beside the face value, for each gift.
    fee_cents: int = 0

    def sells(self, cents: int) -> bool:
        return cents in self.prices if self.prices else self.least <= cents <= self.most


BRANDS = {
    brand.code: brand
    for brand in (
        Brand("nilemusicus", "Nile Music US", "USD", least=100, most=50_000, fee_cents=15),
        Brand("nilefoodus", "Nile Food US", "USD", prices=(1_000, 2_500, 5_000, 10_000)),
        Brand("nilefoodca", "Nile Food CA", "CAD", least=500, most=20_000),
    )
}


def fees(brand: Brand, cents: int) -> dict[str, Any]:
    """What one gift costs, entry by entry."""
    plain = {"percentage": 0, "currency": brand.currency, "tax_type": "NONE", "tax_in_cents": None}
    entries = [
        plain | {"fee_type": "GIFT_VALUE", "amount_in_cents": cents, "number_of_gifts": 1},
        plain
        | {
            "fee_type": "PER_GIFT",
            "amount_in_cents": brand.fee_cents,
            "number_of_gifts": 1,
            "fee_per_gift_in_cents": brand.fee_cents,
        },
    ]
    total = cents + brand.fee_cents
    return {
        "cost_entries": entries,
        "subtotal_in_cents": total,
        "tax_in_cents": 0,
        "tax_type": "NONE",
        "total_in_cents": total,
    }


def show_catalogue(pages: Blueprint) -> None:
    """Add the pages that tell what can be bought."""

    @pages.get("/brands")
    def list_brands() -> Response:
        asked = request.args
        currency = asked.get("currencyisocode")
        search = asked.get("search", "").casefold()
        found = [
            brand_record(brand)
            for brand in BRANDS.values()
            if currency in {None, brand.currency} and search in brand.name.casefold()
        ]
        limit, offset = asked.get("limit", PAGE_BRANDS, int), asked.get("offset", 0, int)
        page = found[offset : offset + limit]
        told = info("INFO_BRANDS_RETRIEVED", "Brand(s) Retrieved", "A list of brands")
        counted = {"number_of_results": len(page), "total_count": len(found)}
        return reply({"brands": page, "limit": limit, "offset": offset, "info": told} | counted)

    @pages.get("/brands/<code>")
    def show_brand(code: str) -> Response:
        if code not in BRANDS:
            message = "No brand found matching that code"
            raise Refused(422, "ERROR_BRANDS_NO_SUCH_BRAND", message)
        told = info("INFO_BRANDS_RETRIEVED", "Brand(s) Retrieved", "A single brand")
        return reply({"brand": brand_detail(BRANDS[code]), "info": told})

    @pages.get("/regions")
    def list_regions() -> Response:
        regions = [{"id": number, "name": name} for number, name in NAMES.items()]
        told = info("INFO_RETRIEVED_REGIONS", "Regions Retrieved", "A list of regions")
        return reply({"regions": regions, "info": told})


def brand_record(brand: Brand) -> dict[str, Any]:
    return {"brand_code": brand.code, "name": brand.name}


def brand_detail(brand: Brand) -> dict[str, Any]:
    detail = brand_record(brand) | {
        "regions": [REGIONS[brand.currency]],
        "fund_currencyisocode": brand.currency,
        "inapp_available": True,
        "variable_price": not brand.prices,
    }
    if brand.prices:
        return detail | {"allowed_prices_in_cents": list(brand.prices)}
    return detail | {"min_price_in_cents": brand.least, "max_price_in_cents": brand.most}
