"""Where people and keys stand in the tree, by the names of their agency and client."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.tenants import Agency, Client


@dataclass(frozen=True, slots=True)
class Places:
    """Names of agencies and clients by id, as far as the scope shows them."""

    names: Mapping[UUID, str]

    def of(self, row: Any) -> str:
        """`Acme › Contoso`; empty for the platform's own."""
        known = (self.names.get(row.agency_id), self.names.get(row.client_id))
        return " › ".join(name for name in known if name)


def places_of(session: Session, rows: Iterable[Any]) -> Places:
    """The places of these rows, in one statement for each of the two tables."""
    shown = list(rows)
    names: dict[UUID, str] = {}
    for table, column in ((Agency, "agency_id"), (Client, "client_id")):
        ids = {getattr(row, column) for row in shown} - {None}
        if ids:
            found = session.execute(select(table.id, table.name).where(table.id.in_(ids)))
            names |= {row.id: row.name for row in found}
    return Places(names)
