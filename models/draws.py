"""Distributions: who was in the pool, what was drawn for whom, and from which seed."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Index, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY, INTEGER, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Utc, of_same_tenant


class Draw(Base):
    """The draw of one distribution; while it is open its part of the deck is nobody else's."""

    __tablename__ = "draws"
    __table_args__ = (
        of_same_tenant("jobs", "job_id", ondelete="CASCADE"),
        of_same_tenant("books", "book_id"),
        of_same_tenant("user_pools", "pool_id"),
        Index("ix_draws_open", "book_id", postgresql_where=text("closed_at IS NULL")),
        Index(None, "pool_id"),
    )

    job_id: Mapped[UUID] = mapped_column(primary_key=True)
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    book_id: Mapped[UUID]
    pool_id: Mapped[UUID]
    #: Which draw of its book this is.
    number: Mapped[int]
    #: Its digest is told at once, the seed itself when the job has ended.
    seed: Mapped[str]
    seed_is_given: Mapped[bool]
    plan_hash: Mapped[str]
    members: Mapped[int]
    #: The part of the deck that is drawn from: keys after the first, up to the second.
    after_key: Mapped[int | None] = mapped_column(BigInteger)
    upto_key: Mapped[int | None] = mapped_column(BigInteger)
    #: How many coupons were set aside.
    coupons: Mapped[int | None]
    #: When it had ended: who got how many, so that no reader counts again.
    shares: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    closed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class DrawMembers(Base):
    """A piece of the pool as it was at accept, in its order, and what each could still take."""

    __tablename__ = "draw_members"
    __table_args__ = (of_same_tenant("jobs", "job_id", ondelete="CASCADE"),)

    job_id: Mapped[UUID] = mapped_column(primary_key=True)
    piece: Mapped[int] = mapped_column(primary_key=True)
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    user_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid))
    capacities: Mapped[list[int]] = mapped_column(ARRAY(INTEGER))


class DrawChunk(Base):
    """The coupons drawn for one chunk, each beside its position."""

    __tablename__ = "draw_chunks"
    __table_args__ = (of_same_tenant("jobs", "job_id", ondelete="CASCADE"),)

    job_id: Mapped[UUID] = mapped_column(primary_key=True)
    chunk_number: Mapped[int] = mapped_column(primary_key=True)
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    positions: Mapped[list[int]] = mapped_column(ARRAY(INTEGER))
    coupon_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid))
