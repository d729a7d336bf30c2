"""Uploads that a person in the console has not submitted yet; gone a day later."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Id, Json, Utc, of_agency

#: Equal to `intake_inline_bytes_max`: larger files go through the API.
DRAFT_BYTES_MAX = 16 * 1024 * 1024


class UploadDraft(Base):
    """A bulk job in the making: what was chosen so far, and the file once it was uploaded."""

    __tablename__ = "upload_drafts"
    __table_args__ = (
        of_agency(),
        CheckConstraint(f"octet_length(content) <= {DRAFT_BYTES_MAX}", name="content"),
        Index(None, "agency_id"),
        Index(None, "client_id"),
        Index(None, "created_at"),
    )

    id: Mapped[Id]
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    #: Only who began a draft sees it.
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    #: What was chosen, by name; no people, no codes.
    options: Mapped[Json]
    file_name: Mapped[str | None]
    #: None before the upload, and again once a job was made of it.
    content: Mapped[bytes | None]
    #: The job this draft became: a second click leads there.
    job_id: Mapped[UUID | None]
    submitted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))
