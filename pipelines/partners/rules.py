"""What a partner is to be, checked: its name, its time zone, its sites and its offers."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.errors import FieldError, ValidationFailed
from pipelines.partners.origins import origin_errors

NAME_CHARACTERS_MAX = 200
TITLE_CHARACTERS_MAX = 120
DESCRIPTION_CHARACTERS_MAX = 500
ZONE_CHARACTERS_MAX = 64
OFFERS_MAX = 20

# The names that have a place in them, and UTC: an abbreviation would not know summer time.
_IS_ZONE = text("""
SELECT EXISTS (SELECT FROM pg_timezone_names
               WHERE name = :zone AND (name LIKE '%/%' OR name = 'UTC') AND name NOT LIKE 'posix/%')
""")
_BOOKS = text("SELECT id FROM books WHERE client_id = :client AND id = ANY (:books)")


@dataclass(frozen=True, slots=True)
class OfferWanted:
    """A book whose coupons may be claimed, as users see it."""

    book_id: UUID
    title: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class PartnerWanted:
    """What a partner is to be; offers in the order in which they are shown."""

    name: str
    time_zone: str
    origins: Sequence[str]
    offers: Sequence[OfferWanted]


#: What a partner has that is checked.
NAMES = frozenset({"time_zone", "origins", "offers"})


def check_partner(
    session: Session,
    wanted: PartnerWanted,
    client_id: UUID,
    *,
    anywhere: bool,
    named: Collection[str],
) -> None:
    """Raises `ValidationFailed` with all that is wrong of what is `named`; `anywhere` as in `origin_fault`."""
    faults = origin_errors(wanted.origins, anywhere=anywhere) if "origins" in named else []
    if (
        "time_zone" in named
        and not session.execute(_IS_ZONE, {"zone": wanted.time_zone}).scalar_one()
    ):
        detail = "Give a time zone by its IANA name, such as Europe/Vienna or UTC."
        faults.append(FieldError("unknown_time_zone", detail, pointer="/time_zone"))
    if "offers" in named:
        faults += _offer_errors(session, wanted.offers, client_id)
    if faults:
        raise ValidationFailed(errors=tuple(faults))


def _offer_errors(
    session: Session, offers: Sequence[OfferWanted], client_id: UUID
) -> list[FieldError]:
    named = [offer.book_id for offer in offers]
    known = set(session.execute(_BOOKS, {"client": client_id, "books": named}).scalars())
    faults = []
    for place, book_id in enumerate(named):
        pointer = f"/offers/{place}/book_id"
        if book_id not in known:
            detail = "This client has no such book. Name one of its own."
            faults.append(FieldError("book_not_found", detail, pointer=pointer))
        elif book_id in named[:place]:
            detail = "This book is offered already: a partner offers each once."
            faults.append(FieldError("duplicate_book", detail, pointer=pointer))
    return faults
