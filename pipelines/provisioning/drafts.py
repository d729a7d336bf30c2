"""A bulk job in the making: chosen step by step in the console, kept until it is submitted."""

import hashlib
import io
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, text, update
from sqlalchemy.orm import Session

from models.base import new_id
from models.drafts import UploadDraft
from models.jobs import Priority
from pipelines.errors import NotFound
from pipelines.jobs.kinds import OnError
from pipelines.provisioning.campaigns import brand_in_use, brands_of_client, campaign_in_use
from pipelines.provisioning.plan import BulkOptions, Dedupe
from pipelines.provisioning.recipients import DeliveryMethod
from pipelines.provisioning.submit import Recipients

FILE_NAME_CHARACTERS_MAX = 200


@dataclass(frozen=True, slots=True)
class Choices:
    """What a person chose for the job; an amount of None is taken from each row."""

    campaign_id: UUID
    brand_id: UUID
    denomination_minor: int | None
    delivery_method: DeliveryMethod
    on_error: OnError = OnError.ABORT
    dedupe: Dedupe = Dedupe.REJECT

    def as_json(self) -> dict[str, Any]:
        return {
            "campaign_id": str(self.campaign_id),
            "brand_id": str(self.brand_id),
            "denomination_minor": self.denomination_minor,
            "delivery_method": self.delivery_method.value,
            "on_error": self.on_error.value,
            "dedupe": self.dedupe.value,
        }

    @classmethod
    def of(cls, stored: dict[str, Any]) -> "Choices":
        return cls(
            campaign_id=UUID(stored["campaign_id"]),
            brand_id=UUID(stored["brand_id"]),
            denomination_minor=stored["denomination_minor"],
            delivery_method=DeliveryMethod(stored["delivery_method"]),
            on_error=OnError(stored["on_error"]),
            dedupe=Dedupe(stored["dedupe"]),
        )

    def with_on_error(self, on_error: OnError) -> "Choices":
        return replace(self, on_error=on_error)

    def as_bulk(
        self,
        *,
        plan_hash: str | None = None,
        force: bool = False,
        scheduled_for: datetime | None = None,
        priority: Priority = Priority.NORMAL,
    ) -> BulkOptions:
        """The same choices as the verbs of a bulk request take them."""
        return BulkOptions(
            campaign_id=self.campaign_id,
            brand_id=self.brand_id,
            denomination_minor=self.denomination_minor,
            delivery_method=self.delivery_method.value,
            on_error=self.on_error,
            dedupe=self.dedupe,
            plan_hash=plan_hash,
            force=force,
            scheduled_for=scheduled_for,
            priority=priority,
        )


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft without its file; `job_id` is set once it was submitted."""

    id: UUID
    client_id: UUID
    choices: Choices
    file_name: str | None
    file_bytes: int | None
    job_id: UUID | None


_COLUMNS = """
SELECT id, client_id, options, file_name, octet_length(content) AS file_bytes, job_id
FROM upload_drafts WHERE id = :draft AND user_id = :user
"""
_ONE = text(_COLUMNS)
_LOCKED = text(_COLUMNS + "FOR NO KEY UPDATE")
_CONTENT = text("SELECT content FROM upload_drafts WHERE id = :draft AND user_id = :user")
_SUBMITTED = text("""
UPDATE upload_drafts SET job_id = :job, submitted_at = :now, content = NULL WHERE id = :draft
""")


def begin_draft(session: Session, choices: Choices, *, user_id: UUID) -> UUID:
    """Keep the first choices; refuses a campaign or brand the job could not use anyway."""
    campaign = campaign_in_use(session, choices.campaign_id)
    brand_in_use(brands_of_client(session, campaign.client_id), choices.brand_id)
    draft_id = new_id()
    session.execute(
        insert(UploadDraft).values(
            id=draft_id,
            agency_id=campaign.agency_id,
            client_id=campaign.client_id,
            user_id=user_id,
            options=choices.as_json(),
        )
    )
    return draft_id


def find_draft(session: Session, draft_id: UUID, *, user_id: UUID, lock: bool = False) -> Draft:
    """The caller's own draft, or `NotFound`; with `lock`, nobody else submits it meanwhile."""
    statement = _LOCKED if lock else _ONE
    row = session.execute(statement, {"draft": draft_id, "user": user_id}).one_or_none()
    if row is None:
        raise NotFound
    return _draft(row)


def keep_file(session: Session, draft_id: UUID, content: bytes, file_name: str | None) -> None:
    """Put the uploaded file into the draft, in place of an earlier one."""
    name = (file_name or "upload.csv")[:FILE_NAME_CHARACTERS_MAX]
    session.execute(
        update(UploadDraft)
        .where(UploadDraft.id == draft_id)
        .values(content=content, file_name=name)
    )


def keep_choices(session: Session, draft_id: UUID, choices: Choices) -> None:
    """Replace what was chosen; the file stays."""
    session.execute(
        update(UploadDraft).where(UploadDraft.id == draft_id).values(options=choices.as_json())
    )


def recipients_of(session: Session, draft: Draft, *, user_id: UUID) -> Recipients:
    """The draft's file as a bulk request takes it; `NotFound` before the upload."""
    values = {"draft": draft.id, "user": user_id}
    content: bytes | None = session.execute(_CONTENT, values).scalar_one_or_none()
    if content is None:
        raise NotFound
    return Recipients(
        sha256=hashlib.sha256(content).digest(),
        csv=io.BytesIO(content),
        file_name=draft.file_name,
    )


def note_submitted(session: Session, draft_id: UUID, job_id: UUID, *, now: datetime) -> None:
    """The draft has become a job: its file is no longer needed here."""
    session.execute(_SUBMITTED, {"draft": draft_id, "job": job_id, "now": now})


def _draft(row: Row[Any]) -> Draft:
    return Draft(
        id=row.id,
        client_id=row.client_id,
        choices=Choices.of(row.options),
        file_name=row.file_name,
        file_bytes=row.file_bytes,
        job_id=row.job_id,
    )
