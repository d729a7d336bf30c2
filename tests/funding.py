"""Tenants with just so much credit, and more of it later."""

from models.base import new_id
from models.database import scoped_transaction
from models.scope import PLATFORM
from pipelines.credit.allocate import allocate, top_up_platform
from pipelines.wiring import House
from tests.driving import cards_csv, import_cards_now, rows
from tests.seeding import ACTOR, Seeded, seed

PRICE = 2500


def funded(house: House, *, cards: int, minor: int) -> Seeded:
    """A tenant with so many cards in stock and so much credit."""
    seeded = seed(house, credit_minor=minor, vendor=False)
    import_cards_now(house, seeded.csv_pool, cards_csv(cards))
    return seeded


def top_up(house: House, seeded: Seeded, minor: int) -> None:
    with scoped_transaction(house.sessions, PLATFORM) as session:
        top_up_platform(
            session, currency="USD", amount=minor, client_ref=f"t:{new_id()}", actor_id=None
        )
        for parent, child in (
            (seeded.platform_account, seeded.agency_account),
            (seeded.agency_account, seeded.client_account),
        ):
            allocate(
                session,
                parent_id=parent,
                child_id=child,
                amount=minor,
                notes="",
                client_ref=f"t:{new_id()}",
                actor_id=ACTOR,
            )


def campaign(house: House, seeded: Seeded) -> tuple[str, str | None]:
    (row,) = rows(
        house, "SELECT state, pause_reason FROM campaigns WHERE id = :id", id=seeded.campaign_id
    )
    return row.state, row.pause_reason
