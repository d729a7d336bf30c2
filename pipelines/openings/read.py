"""Balance sheets as pages show them: which there are, and what became of each."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.audit.record import record
from pipelines.limits import Limits
from pipelines.openings.check import check_sheet
from pipelines.openings.open_sheet import APPROVAL, lines_csv, sheet_row

_SHEETS = """
SELECT s.id, s.sha256, s.reason, s.asked_by, s.report, s.applied_at, s.created_at,
    a.id AS approval_id, a.state, a.requested_by, a.decided_by, a.decided_at, a.expires_at,
    a.reason AS refusal
FROM balance_sheets s LEFT JOIN approvals a
  ON a.kind = :kind AND a.detail ->> 'balance_sheet_id' = CAST(s.id AS text)
"""
_LIST = text(
    _SHEETS
    + "WHERE CAST(:before AS uuid) IS NULL OR s.id < :before ORDER BY s.id DESC LIMIT :limit"
)
_ONE = text(_SHEETS + "WHERE s.id = :sheet")


def list_sheets(session: Session, *, before: UUID | None, limit: int) -> list[Row[Any]]:
    """Newest first, each with the approval that was asked for and without its file."""
    values = {"kind": APPROVAL, "before": before, "limit": limit}
    return list(session.execute(_LIST, values))


def sheet_seen(session: Session, sheet_id: UUID) -> Row[Any] | None:
    """One sheet as `list_sheets` shows it."""
    values = {"kind": APPROVAL, "sheet": sheet_id}
    found: Row[Any] | None = session.execute(_ONE, values).one_or_none()
    return found


def report_csv(session: Session, sheet_id: UUID, *, actor_id: UUID, limits: Limits) -> bytes:
    """Every row with its account as a file, which the audit log notes; or `NotFound`.

    What was moved, once the sheet is applied; before, what a check says now, so that who is to
    agree sees whose account gets what.
    """
    sheet = sheet_row(session, sheet_id)
    record(
        session,
        "balance_sheet.exported",
        object_kind="balance_sheet",
        object_id=sheet_id,
        actor_id=actor_id,
        detail={"is_applied": sheet.lines is not None},
    )
    if sheet.lines is not None:
        return bytes(sheet.lines)
    return lines_csv(check_sheet(session, sheet.file, limits))
