"""Pools of a client's people: made, changed, put away and back, and listed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, func, insert, select
from sqlalchemy.orm import Session

from models.base import new_id
from models.tenants import Client
from models.user_pools import UserPool
from pipelines.audit.record import Detail, record
from pipelines.errors import NotFound
from pipelines.tenants.versions import change, one_of, page_of, under_unique_name
from pipelines.user_pools.refusals import PoolArchived

_POOLS: Select[*tuple[Any, ...]] = select(
    UserPool.id,
    UserPool.agency_id,
    UserPool.client_id,
    UserPool.name,
    UserPool.description,
    UserPool.members,
    UserPool.members_version,
    UserPool.version,
    UserPool.archived_at,
    UserPool.created_at,
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which pools a list is to show: with all of these words in their names."""

    words: str = ""
    is_archived: bool = False


def create_pool(
    session: Session, *, client_id: UUID, name: str, description: str, actor_id: UUID
) -> UUID:
    """Make an empty pool of a client that the caller's scope can see. `NotFound`, `NameTaken`."""
    agency_id = session.execute(
        select(Client.agency_id).where(Client.id == client_id)
    ).scalar_one_or_none()
    if agency_id is None:
        raise NotFound
    identity = new_id()
    statement = insert(UserPool).values(
        id=identity,
        agency_id=agency_id,
        client_id=client_id,
        name=name,
        description=description,
        created_by=actor_id,
    )
    under_unique_name(session, lambda: session.execute(statement))
    audit_pool(session, "user_pool.created", pool(session, identity), actor_id, {"name": name})
    return identity


def change_pool(
    session: Session,
    identity: UUID,
    values: Mapping[str, Any],
    *,
    version: int | None,
    actor_id: UUID,
    now: datetime,
) -> None:
    """Set `name`, `description` and `archived`; who is in it does not change its `version`.

    Raises `NotFound`, `VersionConflict`, `NameTaken`.
    """
    written = {key: value for key, value in values.items() if key != "archived"}
    if "archived" in values:
        was = pool(session, identity).archived_at
        written["archived_at"] = (was or now) if values["archived"] else None
    told = change(session, UserPool, identity, written, version=version)
    audit_pool(session, "user_pool.changed", pool(session, identity), actor_id, told)


def list_pools(
    session: Session, wanted: Wanted, *, before: UUID | None, limit: int
) -> list[Row[Any]]:
    """The pools that the scope sees, newest first."""
    is_there = UserPool.archived_at.is_(None)
    query = _POOLS.where(~is_there if wanted.is_archived else is_there)
    for word in wanted.words.lower().split():
        query = query.where(func.strpos(func.lower(UserPool.name), word) > 0)
    return page_of(session, query, UserPool, before=before, limit=limit)


def pool(session: Session, identity: UUID) -> Row[Any]:
    """One pool, or `NotFound`."""
    return one_of(session, _POOLS, UserPool, identity)


def hold_open_pool(session: Session, identity: UUID) -> Row[Any]:
    """The pool, locked, for who adds people to it. Raises `NotFound`, `PoolArchived`."""
    query = _POOLS.with_for_update(key_share=True, of=UserPool)
    row = one_of(session, query, UserPool, identity)
    if row.archived_at is not None:
        raise PoolArchived
    return row


def audit_pool(
    session: Session, action: str, row: Row[Any], actor_id: UUID | None, detail: Detail
) -> None:
    """One audit entry about a pool; it tells numbers and never people."""
    record(
        session,
        action,
        object_kind="user_pool",
        object_id=row.id,
        actor_id=actor_id,
        agency_id=row.agency_id,
        client_id=row.client_id,
        detail=detail,
    )
