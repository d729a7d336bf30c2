"""Write one audit entry with the effect it tells of; a duty numbers and chains it later."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.orm import Session
from structlog.contextvars import get_contextvars

from models.base import new_id
from models.oversight import AuditEntry


def record(
    session: Session,
    action: str,
    *,
    object_kind: str,
    object_id: UUID | None,
    actor_id: UUID | None,
    agency_id: UUID | None = None,
    client_id: UUID | None = None,
    detail: Mapping[str, str | int | bool | None] | None = None,
) -> None:
    """Record `action` on an object; `detail` holds ids, numbers and our own names of things.

    The one free text is `reason`: a person's own words, which the doors cut or refuse at 200
    characters. Codes, recipients and what the software knows of them never go in.
    """
    session.execute(
        insert(AuditEntry).values(
            id=new_id(),
            agency_id=agency_id,
            client_id=client_id,
            actor_id=actor_id,
            action=action,
            object_kind=object_kind,
            object_id=object_id,
            detail=dict(detail or {}),
            request_id=get_contextvars().get("request_id"),
        )
    )
