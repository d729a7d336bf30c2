"""A partner with something on each of its pages: offers, two secrets, refusals, a claim."""

from flask import Flask

from models import clock
from models.database import scoped_transaction
from models.scope import client
from pipelines.partners.offers import write_offers
from pipelines.partners.partners import held_partner
from pipelines.partners.rules import DESCRIPTION_CHARACTERS_MAX, TITLE_CHARACTERS_MAX, OfferWanted
from pipelines.partners.secrets import OVERLAP_SECONDS, rotate_secret
from pipelines.wiring import House
from tests.distributing import stocked_book
from tests.partnering import make_partner, present, visit
from tests.seeding import ACTOR, Seeded


def furnish_partner(app: Flask, house: House, seeded: Seeded, words: str) -> None:
    """`words` are its name, what is said of its offer, and its own id of who has claimed."""
    book = stocked_book(house, seeded, 3, name=words[:190])
    partner = make_partner(house, seeded, book, name=words[:200])
    assert visit(app, partner, words[:255]).post("/claims", {}).status_code == 201
    token = partner.token()
    assert [present(app, token).status_code for _ in range(2)] == [201, 401]
    offer = OfferWanted(book, words[:TITLE_CHARACTERS_MAX], words[:DESCRIPTION_CHARACTERS_MAX])
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        now = clock.now(session)
        write_offers(session, held_partner(session, partner.id), [offer], now=now)
        rotate_secret(
            session,
            partner.id,
            overlap_seconds=OVERLAP_SECONDS,
            actor_id=ACTOR,
            keyring=house.settings.keyring,
            now=now,
        )
