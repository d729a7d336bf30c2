"""The demo's brands, the vendor that sells their cards, and how fast it may be asked."""

from sqlalchemy.dialects.postgresql import insert

from models.cards import VendorAccount
from models.database import Sessions, scoped_transaction
from models.scope import PLATFORM, SYSTEM
from models.tenants import Brand, BrandRoute
from ops.demo import ids

VENDOR = "reloadly"
NILE_SHOP = "Nile Shop"
#: The sandbox's own product ids.
NILE_SHOP_PRODUCT = "120"
NILE_SHOP_GERMANY_PRODUCT = "130"
#: The sandbox answers as fast as it is asked; a real account's rate is in its contract.
RATE_PER_MINUTE = 6_000
BURST = 50


def seed_cards(sessions: Sessions) -> None:
    """Add the brands, routes and vendor account that are missing."""
    brands = (
        {"id": ids.NILE_SHOP, "name": NILE_SHOP, "currency": "USD"},
        {"id": ids.NILE_SHOP_GERMANY, "name": "Nile Shop Germany", "currency": "EUR"},
    )
    routes = (
        {
            "id": ids.NILE_SHOP_ROUTE,
            "brand_id": ids.NILE_SHOP,
            "vendor": VENDOR,
            "product": NILE_SHOP_PRODUCT,
        },
        {
            "id": ids.NILE_SHOP_GERMANY_ROUTE,
            "brand_id": ids.NILE_SHOP_GERMANY,
            "vendor": VENDOR,
            "product": NILE_SHOP_GERMANY_PRODUCT,
        },
    )
    with scoped_transaction(sessions, PLATFORM) as session:
        session.execute(insert(Brand).values(list(brands)).on_conflict_do_nothing())
        session.execute(insert(BrandRoute).values(list(routes)).on_conflict_do_nothing())
    with scoped_transaction(sessions, SYSTEM) as session:
        session.execute(
            insert(VendorAccount)
            .values(vendor=VENDOR, rate_per_minute=RATE_PER_MINUTE, burst=BURST)
            .on_conflict_do_nothing()
        )
