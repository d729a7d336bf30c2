"""How many cards were issued for how much, by day: deltas beside their sums, exact at every moment."""

from datetime import date
from uuid import UUID

from sqlalchemy import Date, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Currency, Id, MinorUnits, in_campaign


class IssuedDelta(Base):
    """What one statement issued or undid; a trigger on `provisions` writes it, a duty adds it up.

    Deltas are only ever inserted, so that chunks of one campaign do not wait for each other.
    """

    __tablename__ = "issued_deltas"
    __table_args__ = (in_campaign(), Index(None, "client_id"), Index(None, "agency_id"))

    id: Mapped[Id] = mapped_column(server_default=text("gen_random_uuid()"))
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    campaign_id: Mapped[UUID]
    #: In UTC: of the issuing, or of the undoing, whose numbers are negative.
    day: Mapped[date] = mapped_column(Date)
    source: Mapped[str]
    currency: Mapped[Currency]
    cards: Mapped[int]
    charge_minor: Mapped[MinorUnits]
    #: Of the cards whose cost is known in this currency; the others are counted beside it.
    cost_minor: Mapped[MinorUnits]
    cards_without_cost: Mapped[int]


class IssuedDaily(Base):
    """The sums of the deltas that were added up already."""

    __tablename__ = "issued_daily"
    __table_args__ = (
        in_campaign(),
        Index(None, "agency_id", "day"),
        Index(None, "client_id", "day"),
    )

    campaign_id: Mapped[UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    source: Mapped[str] = mapped_column(primary_key=True)
    currency: Mapped[Currency] = mapped_column(primary_key=True)
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    cards: Mapped[int]
    charge_minor: Mapped[MinorUnits]
    cost_minor: Mapped[MinorUnits]
    cards_without_cost: Mapped[int]
