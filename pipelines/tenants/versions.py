"""Change a row only if nobody changed it since: compare-and-set on its version."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models.tenants import Agency, Brand, Campaign, Client
from models.user_pools import UserPool
from pipelines.audit.record import Fact, changes
from pipelines.errors import NotFound
from pipelines.tenants.refusals import NameTaken, VersionConflict

#: Any columns of one of these tables.
Listing = Select[*tuple[Any, ...]]
Versioned = type[Agency] | type[Client] | type[Campaign] | type[Brand] | type[UserPool]


def change(
    session: Session,
    table: Versioned,
    identity: UUID,
    values: Mapping[str, Any],
    *,
    version: int | None,
) -> dict[str, list[Fact]]:
    """Write `values` and return each that changed, `[before, after]`, for the audit log.

    `version` is what the caller last read. Raises `NotFound`, `VersionConflict`, `NameTaken`.
    """
    columns = [getattr(table, name) for name in values]
    current = session.execute(
        select(table.version, *columns).where(table.id == identity).with_for_update(key_share=True)
    ).one_or_none()
    if current is None:
        raise NotFound
    if version is not None and version != current.version:
        raise VersionConflict(current=current.version)
    raised = current.version + 1

    def write() -> None:
        session.execute(update(table).where(table.id == identity).values(**values, version=raised))

    under_unique_name(session, write)
    return changes(dict(current._mapping), values)


def under_unique_name(session: Session, write: Callable[[], object]) -> None:
    """Run a write whose only unique rule is its name; raises `NameTaken`."""
    try:
        with session.begin_nested():
            write()
    except IntegrityError as error:
        diag = getattr(error.orig, "diag", None)
        name = (diag.constraint_name if diag else None) or ""
        if not name.startswith("uq_") or "name" not in name:
            raise
        raise NameTaken from None


def page_of(
    session: Session, query: Listing, table: Versioned, *, before: UUID | None, limit: int
) -> list[Row[Any]]:
    """One page of a list, newest first; `before` is the last id of the page before."""
    if before is not None:
        query = query.where(table.id < before)
    found: Any = session.execute(query.order_by(table.id.desc()).limit(limit))
    return list(found)


def one_of(session: Session, query: Listing, table: Versioned, identity: UUID) -> Row[Any]:
    """One row of a list, or `NotFound` if this scope cannot see it."""
    row: Any = session.execute(query.where(table.id == identity)).one_or_none()
    if row is None:
        raise NotFound
    found: Row[Any] = row
    return found
