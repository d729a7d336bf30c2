"""What became of a file of codes, read again from the audit entry that tells of it."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.oversight import AuditEntry
from pipelines.provisioning.code_file import listed_rows
from pipelines.provisioning.load_codes import Loaded
from pipelines.provisioning.withdraw_listed import ListWithdrawn


def file_result(
    session: Session, campaign_id: UUID, entry_id: UUID
) -> Loaded | ListWithdrawn | None:
    """As it was answered when the file was taken; None where the entry tells of no such file."""
    entry = session.execute(
        select(AuditEntry.action, AuditEntry.detail).where(
            AuditEntry.id == entry_id, AuditEntry.object_id == campaign_id
        )
    ).one_or_none()
    if entry is None:
        return None
    told, rows = entry.detail, listed_rows(entry.detail)
    if entry.action == "codes.loaded":
        left = told.get("left_withdrawn", 0)
        return Loaded(entry_id, told["loaded"], told["duplicates"], left, rows)
    if entry.action == "codes.withdrawn" and "unchanged" in told:
        return ListWithdrawn(entry_id, told["withdrawn"], told["unchanged"], rows)
    return None
