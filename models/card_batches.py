"""Card files, as people speak of them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, ForeignKey, Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Utc, of_agency


class CardBatch(Base):
    """A card file worked into a pool; its id is that of its job, its number what people say."""

    __tablename__ = "card_batches"
    __table_args__ = (
        of_agency(),
        Index(
            "uq_card_batches_file",
            "sha256",
            unique=True,
            postgresql_where=text("sha256 IS NOT NULL AND keeps_file"),
        ),
        Index(None, "pool_id", "number"),
    )

    id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)
    agency_id: Mapped[UUID | None]
    client_id: Mapped[UUID | None]
    pool_id: Mapped[UUID] = mapped_column(ForeignKey("card_pools.id"))
    sha256: Mapped[bytes | None]
    #: Whether the same file is refused: not if it was sent again on purpose, or nothing was kept.
    keeps_file: Mapped[bool] = mapped_column(server_default=text("true"))
    #: While it is set, cards of the batch that come back are set aside too.
    quarantined_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))
