"""Agencies: made, listed and renamed by the platform."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, select
from sqlalchemy.orm import Session

from models.base import new_id
from models.tenants import Agency
from pipelines.audit.record import Detail, record
from pipelines.tenants.accounts import open_for_agency
from pipelines.tenants.versions import change, one_of, page_of, under_unique_name

_AGENCIES = select(Agency.id, Agency.name, Agency.version, Agency.created_at)


def create_agency(session: Session, *, name: str, actor_id: UUID) -> UUID:
    """Make an agency with its accounts; raises `NameTaken`."""
    identity = new_id()
    statement = insert(Agency).values(id=identity, agency_id=identity, name=name)
    under_unique_name(session, lambda: session.execute(statement))
    open_for_agency(session, identity)
    _audit(session, "agency.created", identity, actor_id, {"name": name})
    return identity


def rename_agency(
    session: Session, identity: UUID, *, name: str, version: int | None, actor_id: UUID
) -> None:
    """Raises `NotFound`, `VersionConflict`, `NameTaken`."""
    told = change(session, Agency, identity, {"name": name}, version=version)
    _audit(session, "agency.changed", identity, actor_id, told)


def list_agencies(session: Session, *, before: UUID | None, limit: int) -> list[Row[Any]]:
    return page_of(session, _AGENCIES, Agency, before=before, limit=limit)


def agency(session: Session, identity: UUID) -> Row[Any]:
    return one_of(session, _AGENCIES, Agency, identity)


def _audit(session: Session, action: str, identity: UUID, actor_id: UUID, detail: Detail) -> None:
    record(
        session,
        action,
        object_kind="agency",
        object_id=identity,
        actor_id=actor_id,
        agency_id=identity,
        detail=detail,
    )
