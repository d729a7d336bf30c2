"""The demo's books of coupons: four that differ in what they allow; their codes come later."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert

from models.books import Book
from models.database import Sessions, scoped_transaction
from models.scope import client
from ops.demo import ids
from pipelines.books.create import pattern_columns
from pipelines.books.patterns import PLAIN_ALPHABET, Pattern

#: So many characters are hard to guess even where a code is worth money.
BEARER_CHARACTERS = 16
CHARACTERS = 8


@dataclass(frozen=True, slots=True)
class DemoBook:
    """A book of the demo, and how many codes it begins with."""

    id: UUID
    name: str
    prefix: str
    codes: int
    allow_multi_redemption: bool = False
    seals_codes: bool = False
    max_redemptions_per_user: int | None = None
    max_assignments_per_user: int | None = None

    def columns(self) -> dict[str, object]:
        """The row of the book."""
        length = BEARER_CHARACTERS if self.seals_codes else CHARACTERS
        return {
            "id": self.id,
            "agency_id": ids.AGENCY,
            "client_id": ids.CLIENT,
            "name": self.name,
            "seals_codes": self.seals_codes,
            "allow_multi_redemption": self.allow_multi_redemption,
            "max_redemptions_per_user": self.max_redemptions_per_user,
            "max_assignments_per_user": self.max_assignments_per_user,
            "created_by": ids.ALICE,
            **pattern_columns(Pattern(self.prefix, length, PLAIN_ALPHABET, suffix="")),
        }


BOOKS = (
    DemoBook(
        *(ids.SUMMER_SALE, "Summer Sale 2026", "SUMMER", 80),
        max_redemptions_per_user=5,
        max_assignments_per_user=5,
    ),
    DemoBook(
        *(ids.VIP_REWARDS, "VIP Rewards", "VIP", 50),
        allow_multi_redemption=True,
        max_redemptions_per_user=3,
        max_assignments_per_user=5,
    ),
    DemoBook(
        *(ids.WELCOME_GIFT, "Welcome Gift", "HELLO", 50),
        max_redemptions_per_user=2,
        max_assignments_per_user=2,
    ),
    DemoBook(
        *(ids.GIFT_VOUCHERS, "Gift Vouchers", "GIFT", 20),
        seals_codes=True,
        max_assignments_per_user=5,
    ),
)


def seed_books(sessions: Sessions) -> None:
    """Add the books that are missing; one that is there keeps its rules."""
    with scoped_transaction(sessions, client(ids.CLIENT)) as session:
        for book in BOOKS:
            session.execute(insert(Book).values(book.columns()).on_conflict_do_nothing())
