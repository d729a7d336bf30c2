"""Fixed ids of the demo's tenants and people, so that seeding twice changes nothing."""

from uuid import UUID


def _fixed(number: int) -> UUID:
    """A UUIDv7 of the first of January 2026; the number tells it apart."""
    return UUID(f"019b76da-a800-7000-8000-{number:012x}")


ADMIN = _fixed(1)
ALICE = _fixed(2)
BOB = _fixed(3)
CAROL = _fixed(4)
DAVE = _fixed(5)
EVE = _fixed(6)
CHARLIE = _fixed(7)
DIANA = _fixed(8)

AGENCY = _fixed(16)
CLIENT = _fixed(17)
CAMPAIGN = _fixed(18)

NILE_SHOP = _fixed(32)
NILE_SHOP_GERMANY = _fixed(33)
NILE_SHOP_ROUTE = _fixed(34)
NILE_SHOP_GERMANY_ROUTE = _fixed(35)
DELTA_MARKET = _fixed(36)
DELTA_MARKET_ROUTE = _fixed(37)
NILE_BOOKS = _fixed(38)
NILE_BOOKS_ROUTE = _fixed(39)
NILE_MUSIC = _fixed(40)
NILE_MUSIC_ROUTE = _fixed(41)
NILE_MUSIC_PRICE = _fixed(42)

SUMMER_SALE = _fixed(64)
VIP_REWARDS = _fixed(65)
WELCOME_GIFT = _fixed(66)
GIFT_VOUCHERS = _fixed(67)

BETA_TESTERS = _fixed(80)
NEWSLETTER = _fixed(81)
