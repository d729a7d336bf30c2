"""Clients of agencies: made, listed, changed, and the brands they may draw on."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, insert, select
from sqlalchemy.orm import Session

from models.base import new_id
from models.tenants import Agency, Brand, Client, ClientBrand
from pipelines.audit.record import Detail, record
from pipelines.errors import NotFound
from pipelines.tenants.accounts import open_for_client
from pipelines.tenants.versions import change, one_of, page_of, under_unique_name

_CLIENTS = select(
    Client.id,
    Client.agency_id,
    Client.name,
    Client.time_zone,
    Client.suspended_at,
    Client.version,
    Client.created_at,
)


def create_client(
    session: Session, *, agency_id: UUID, name: str, time_zone: str, actor_id: UUID
) -> UUID:
    """Make a client of an agency that the caller's scope can see, with its accounts."""
    if session.execute(select(Agency.id).where(Agency.id == agency_id)).one_or_none() is None:
        raise NotFound
    identity = new_id()
    statement = insert(Client).values(
        id=identity, agency_id=agency_id, client_id=identity, name=name, time_zone=time_zone
    )
    under_unique_name(session, lambda: session.execute(statement))
    open_for_client(session, identity)
    _audit(session, "client.created", client(session, identity), actor_id, {"name": name})
    return identity


def change_client(
    session: Session,
    identity: UUID,
    values: Mapping[str, Any],
    *,
    version: int | None,
    actor_id: UUID,
) -> None:
    """Raises `NotFound`, `VersionConflict`, `NameTaken`."""
    told = change(session, Client, identity, values, version=version)
    _audit(session, "client.changed", client(session, identity), actor_id, told)


def list_clients(session: Session, *, before: UUID | None, limit: int) -> list[Row[Any]]:
    return page_of(session, _CLIENTS, Client, before=before, limit=limit)


def client(session: Session, identity: UUID) -> Row[Any]:
    return one_of(session, _CLIENTS, Client, identity)


def client_names(session: Session, identities: Iterable[UUID]) -> dict[UUID, str]:
    """The names of those that this scope can see."""
    found: Any = session.execute(select(Client.id, Client.name).where(Client.id.in_(identities)))
    return {row.id: row.name for row in found}


def client_places(session: Session, identities: Iterable[UUID]) -> dict[UUID, Row[Any]]:
    """Name and time zone of those that this scope can see."""
    found: Any = session.execute(
        select(Client.id, Client.name, Client.time_zone).where(Client.id.in_(identities))
    )
    return {row.id: row for row in found}


def only_client(session: Session) -> UUID | None:
    """The one client that this scope can see; None if there are none or several."""
    found = session.execute(select(Client.id).limit(2)).scalars().all()
    return found[0] if len(found) == 1 else None


def restrict_brands(
    session: Session, identity: UUID, brand_ids: frozenset[UUID], *, actor_id: UUID
) -> list[UUID]:
    """Let a client draw on these brands only; on every brand if none is named."""
    row = client(session, identity)
    known = set(session.execute(select(Brand.id).where(Brand.id.in_(brand_ids))).scalars())
    if known != brand_ids:
        raise NotFound
    lifted = delete(ClientBrand).where(ClientBrand.client_id == identity)
    before = set(session.execute(lifted.returning(ClientBrand.brand_id)).scalars())
    chosen = sorted(brand_ids)
    if chosen:
        session.execute(
            insert(ClientBrand),
            [
                {"client_id": identity, "brand_id": brand_id, "agency_id": row.agency_id}
                for brand_id in chosen
            ],
        )
    told = {"brands": [_listed(before), _listed(known)]}
    _audit(session, "client.brands_restricted", row, actor_id, told)
    return chosen


def _listed(brand_ids: set[UUID]) -> str:
    return " ".join(str(brand_id) for brand_id in sorted(brand_ids)) or "all"


def _audit(session: Session, action: str, row: Row[Any], actor_id: UUID, detail: Detail) -> None:
    record(
        session,
        action,
        object_kind="client",
        object_id=row.id,
        actor_id=actor_id,
        agency_id=row.agency_id,
        client_id=row.id,
        detail=detail,
    )
