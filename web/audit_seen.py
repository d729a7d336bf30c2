"""The audit log as a caller may see it, names included: one look for the API, CSV and the console."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from models.database import Sessions, scoped_transaction
from models.scope import SYSTEM
from pipelines.access.actors import AGENCY_WORD, PLATFORM_WORD, names_of
from pipelines.access.principals import Principal
from pipelines.audit.read import EntryFilter, list_entries, standing_of, stream_of
from pipelines.audit.record import record
from pipelines.jobs.csv_writer import csv_blocks

#: Entries of an export read in one transaction.
PAGE_ROWS = 1_000
COLUMNS = (
    "id",
    "at",
    "sequence",
    "action",
    "actor",
    "actor_id",
    "actor_role",
    "on_behalf_of",
    "object_kind",
    "object_id",
    "detail",
    "request_id",
    "job_id",
)


@dataclass(frozen=True, slots=True)
class EntriesSeen:
    """Entries, and how to call who acted."""

    rows: list[Row[Any]]
    names: dict[UUID, str]

    def actor(self, row: Row[Any]) -> dict[str, Any] | None:
        """None for what nobody did; of people above the caller only whose side they are on."""
        if row.actor_id is None:
            return None
        name = self.names.get(row.actor_id)
        is_above = name in (PLATFORM_WORD, AGENCY_WORD)
        identity = None if is_above else row.actor_id
        return {"id": identity, "name": name, "role": None if is_above else row.actor_role}

    def shown(self, row: Row[Any], caller: Principal) -> dict[str, Any]:
        """One entry of the API; only the platform sees where a request came from."""
        entry = {
            "id": row.id,
            "at": row.at,
            "sequence": row.sequence,
            "sealed": row.sequence is not None,
            "action": row.action,
            "actor": self.actor(row),
            "on_behalf_of": row.on_behalf_of,
            "object": {"kind": row.object_kind, "id": row.object_id},
            "detail": row.detail,
            "request_id": row.request_id,
            "job_id": row.job_id,
        }
        return entry | ({"address": row.address} if sees_addresses(caller) else {})


def sees_addresses(caller: Principal) -> bool:
    return caller.agency_id is None and caller.client_id is None


def look_at_entries(
    sessions: Sessions,
    caller: Principal,
    wanted: EntryFilter,
    *,
    before: UUID | None,
    limit: int,
) -> EntriesSeen:
    """The row policies of the caller's scope decide what is there to be found."""
    with scoped_transaction(sessions, caller.scope) as session:
        rows = list_entries(session, wanted, before=before, limit=limit)
    return EntriesSeen(rows, look_up_names(sessions, caller, (row.actor_id for row in rows)))


def look_up_names(
    sessions: Sessions, caller: Principal, actor_ids: Iterable[UUID | None]
) -> dict[UUID, str]:
    known = {one for one in actor_ids if one is not None}
    with scoped_transaction(sessions, SYSTEM) as session:
        return names_of(session, known, caller=caller)


def look_at_standing(sessions: Sessions, caller: Principal) -> Row[Any]:
    """How far the stream of the caller's own tenant is sealed."""
    with scoped_transaction(sessions, SYSTEM) as session:
        return standing_of(session, stream_of(caller.agency_id, caller.client_id))


def export_csv(sessions: Sessions, caller: Principal, wanted: EntryFilter) -> Iterator[bytes]:
    """The entries as CSV, page by page in short transactions; the export itself is audited."""
    with scoped_transaction(sessions, caller.scope) as session:
        record(
            session,
            "audit.exported",
            object_kind="audit",
            object_id=wanted.object_id,
            actor_id=caller.actor_id,
            agency_id=caller.agency_id,
            client_id=caller.client_id,
            detail={
                "action": wanted.action,
                "since": wanted.since.isoformat() if wanted.since else None,
                "until": wanted.until.isoformat() if wanted.until else None,
            },
        )
    columns = (*COLUMNS, "address") if sees_addresses(caller) else COLUMNS
    return csv_blocks(columns, _cells(sessions, caller, wanted))


def _cells(
    sessions: Sessions, caller: Principal, wanted: EntryFilter
) -> Iterator[list[str | int | None]]:
    before: UUID | None = None
    while True:
        seen = look_at_entries(sessions, caller, wanted, before=before, limit=PAGE_ROWS)
        for row in seen.rows:
            yield _row(seen, row, caller)
        if len(seen.rows) < PAGE_ROWS:
            return
        before = seen.rows[-1].id


def _row(seen: EntriesSeen, row: Row[Any], caller: Principal) -> list[str | int | None]:
    actor = seen.actor(row) or {}
    cells: list[Any] = [
        row.id,
        row.at.isoformat(),
        row.sequence,
        row.action,
        actor.get("name"),
        actor.get("id"),
        actor.get("role"),
        row.on_behalf_of,
        row.object_kind,
        row.object_id,
        json.dumps(row.detail, sort_keys=True, ensure_ascii=False),
        row.request_id,
        row.job_id,
    ]
    cells += [row.address] if sees_addresses(caller) else []
    return [one if one is None or isinstance(one, int) else str(one) for one in cells]
