"""The demo's brands, the vendors that sell their cards, and how fast they may be asked."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert

from models.database import Sessions, scoped_transaction
from models.prices import Price
from models.scope import PLATFORM, SYSTEM
from models.tenants import Brand, BrandRoute
from models.vendors import VendorAccount
from ops.demo import ids

NILE_SHOP = "Nile Shop"
#: The sandbox answers as fast as it is asked; a real account's rate is in its contract.
RATE_PER_MINUTE = 6_000
BURST = 50


@dataclass(frozen=True, slots=True)
class Sold:
    """A brand of the demo, and what the sandbox's vendor calls its card."""

    brand_id: UUID
    route_id: UUID
    name: str
    currency: str
    vendor: str
    product: str
    #: What a card costs where no catalogue says it, from which value on the price below covers it.
    cost_bp: int | None = None
    cost_flat_minor: int | None = None
    min_minor: int | None = None


SOLD = (
    Sold(ids.NILE_SHOP, ids.NILE_SHOP_ROUTE, NILE_SHOP, "USD", "reloadly", "120"),
    Sold(
        ids.NILE_SHOP_GERMANY,
        ids.NILE_SHOP_GERMANY_ROUTE,
        "Nile Shop Germany",
        "EUR",
        "reloadly",
        "130",
    ),
    Sold(ids.DELTA_MARKET, ids.DELTA_MARKET_ROUTE, "Delta Market", "USD", "tango", "U120000"),
    Sold(ids.NILE_BOOKS, ids.NILE_BOOKS_ROUTE, "Nile Books", "USD", "tremendous", "NILEBOOKSUS1"),
    Sold(
        *(ids.NILE_MUSIC, ids.NILE_MUSIC_ROUTE, "Nile Music", "USD", "giftbit", "nilemusicus"),
        cost_bp=10_000,
        cost_flat_minor=15,
        min_minor=1_000,
    ),
)
#: Giftbit takes 15 cents for each card: at its face value it would be sold at a loss.
PRICE = {
    "id": ids.NILE_MUSIC_PRICE,
    "brand_id": ids.NILE_MUSIC,
    "charge_bp": 10_200,
    "created_by": ids.ADMIN,
}


def seed_cards(sessions: Sessions) -> None:
    """Add the brands, routes, prices and vendor accounts that are missing."""
    brands = [{"id": one.brand_id, "name": one.name, "currency": one.currency} for one in SOLD]
    routes = [
        {
            "id": one.route_id,
            "brand_id": one.brand_id,
            "vendor": one.vendor,
            "product": one.product,
            "cost_bp": one.cost_bp,
            "cost_flat_minor": one.cost_flat_minor,
            "min_minor": one.min_minor,
        }
        for one in SOLD
    ]
    accounts = [
        {"vendor": vendor, "rate_per_minute": RATE_PER_MINUTE, "burst": BURST}
        for vendor in sorted({one.vendor for one in SOLD})
    ]
    with scoped_transaction(sessions, PLATFORM) as session:
        session.execute(insert(Brand).values(brands).on_conflict_do_nothing())
        session.execute(insert(BrandRoute).values(routes).on_conflict_do_nothing())
        session.execute(insert(Price).values(PRICE).on_conflict_do_nothing())
    with scoped_transaction(sessions, SYSTEM) as session:
        session.execute(insert(VendorAccount).values(accounts).on_conflict_do_nothing())
