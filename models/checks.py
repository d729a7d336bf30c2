"""When the house last looked itself over, and what came of it."""

from typing import Any

from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Utc


class CheckRun(Base):
    """The last run of one standing check: `monitor`, or `integrity`."""

    __tablename__ = "check_runs"

    name: Mapped[str] = mapped_column(primary_key=True)
    #: When it looked: the time of its snapshot.
    at: Mapped[Utc]
    duration_ms: Mapped[int]
    #: Whether all was well; None where the time did not suffice to know.
    ok: Mapped[bool | None]
    #: Ids and numbers.
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB)
