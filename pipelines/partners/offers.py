"""Which books' coupons a partner's users may claim, in their order."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.base import new_id
from pipelines.partners.rules import OfferWanted

_LIVE = text("""
SELECT o.id, o.book_id, o.title, o.description, o.place, b.name AS book_name, b.expires_at, b.closed_at
FROM partner_offers o JOIN books b ON b.id = o.book_id
WHERE o.partner_id = :partner AND o.ended_at IS NULL ORDER BY o.place
""")
_END = text("""
UPDATE partner_offers SET ended_at = :now
WHERE partner_id = :partner AND ended_at IS NULL AND book_id <> ALL (:books)
""")
_WRITE = text("""
INSERT INTO partner_offers AS o (id, agency_id, client_id, partner_id, book_id, title, description, place)
SELECT w.id, :agency, :client, :partner, w.book, w.title, w.description, w.place
FROM unnest(CAST(:ids AS uuid[]), CAST(:books AS uuid[]), CAST(:titles AS text[]),
            CAST(:descriptions AS text[])) WITH ORDINALITY AS w (id, book, title, description, place)
ON CONFLICT (partner_id, book_id) WHERE ended_at IS NULL
DO UPDATE SET title = excluded.title, description = excluded.description, place = excluded.place
WHERE (o.title, o.description, o.place) <> (excluded.title, excluded.description, excluded.place)
""")


def live_offers(session: Session, partner_id: UUID) -> list[Row[Any]]:
    """The partner's offers in their order, with what their books say of time."""
    return list(session.execute(_LIVE, {"partner": partner_id}))


def write_offers(
    session: Session, partner: Row[Any], offers: Sequence[OfferWanted], *, now: datetime
) -> bool:
    """Make these the partner's offers, which the caller has locked; whether any is another now.

    A book that was offered before keeps its offer's id; one that is left out is no longer offered.
    """
    books = [offer.book_id for offer in offers]
    place = {"partner": partner.id, "agency": partner.agency_id, "client": partner.client_id}
    ended = session.execute(_END, {"partner": partner.id, "books": books, "now": now})
    written = session.execute(
        _WRITE,
        place
        | {
            "ids": [new_id() for _ in offers],
            "books": books,
            "titles": [offer.title for offer in offers],
            "descriptions": [offer.description for offer in offers],
        },
    )
    return bool(ended.rowcount or written.rowcount)  # type: ignore[attr-defined]
