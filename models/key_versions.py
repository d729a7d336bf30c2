"""Which master keys sealed values rest on, and how far the re-sealing under the current one is."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Utc, states


class KeyState(StrEnum):
    LIVE = "live"  # values may be sealed under it
    RETIRING = "retiring"  # none may be sealed any more; those that are there are looked for
    RETIRED = "retired"  # none is left


class KeyVersion(Base):
    """A version of the master key that some value was sealed under: known without a scan.

    No sealed value enters a table before its version has a row here: a trigger sees to it.
    """

    __tablename__ = "key_versions"
    __table_args__ = (
        states("state", KeyState),
        CheckConstraint("version BETWEEN 1 AND 255", name="version"),
    )

    version: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    state: Mapped[str] = mapped_column(server_default=text("'live'"))
    #: Derived from the key: tells another key under the same number, and nothing of the key.
    check_value: Mapped[bytes | None]
    #: The blind index, people's keys and reveal links rest on this version, sealed values or none.
    carries_index: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))
    retired_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Resealing(Base):
    """One table on its way to the current key: where the next chunk begins, and counts."""

    __tablename__ = "resealings"

    table_name: Mapped[str] = mapped_column(primary_key=True)
    target_version: Mapped[int] = mapped_column(SmallInteger)
    #: Grows with each order to rotate: tasks of an older one end without a word.
    run: Mapped[int] = mapped_column(server_default=text("1"))
    #: Rows up to this id are done in this pass; none = the pass begins.
    done_until: Mapped[UUID | None]
    passes: Mapped[int] = mapped_column(server_default=text("1"))
    looked_at: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    resealed: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    #: In somebody's hand when this pass came by: another pass follows.
    passed_over: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    #: Did not open under their own key: they stay as they are, and keep their version live.
    unopened: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    started_at: Mapped[Utc]
    moved_at: Mapped[Utc]
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
