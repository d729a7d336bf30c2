"""What a test's tenant is made of is made once per test process, and copied for every other test.

The first time a tenant of some kind is made, the rows that came are kept; afterwards they are written
as they are, with ids and times of their own. A database that holds more than a new one is not copied
into: there the tenant is made the long way.
"""

import json
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from models.base import new_id
from ops.bootstrap import database_url

Made = TypeVar("Made")
#: Of the servers of this test process, once they are there.
_servers: list[str] = []
_kept: dict[Hashable, "Kept"] = {}
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")

_COLUMNS = """
SELECT c.relname, array_agg(a.attname ORDER BY a.attnum),
    array_agg(a.attname ORDER BY a.attnum) FILTER (WHERE a.atttypid = 'timestamptz'::regtype)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
GROUP BY c.relname ORDER BY c.relname
"""
_SEQUENCES = "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'public'"


@dataclass(frozen=True, slots=True)
class Kept:
    """The rows that came by table, as JSON; where sequences stood then; what the maker answered."""

    rows: Mapping[str, str]
    ids: Sequence[str]
    #: Of each table all that are written, and which of them are times.
    columns: Mapping[str, tuple[Sequence[str], Sequence[str]]]
    sequences: Mapping[str, int]
    made: Any
    at: datetime


def use_servers(admin_url: str) -> None:
    """Copy on these servers from now on."""
    _servers[:] = [admin_url]


def copied_or_made(url: str, kind: Hashable, make: Callable[[], Made]) -> Made:
    """What `make` answers, whose rows are in the database at `url`, copied if they were made before.

    What it answers has the rows' ids in it, as attributes, and nothing else that changes.
    """
    there = urlsplit(url)
    # Whoever breaks servers has some of their own.
    if not _servers or urlsplit(_servers[0]).port != there.port:
        return make()
    name = there.path.removeprefix("/")
    with psycopg.connect(database_url(_servers[0], name), row_factory=tuple_row) as admin:
        if not _is_new(admin):
            return make()
        kept = _kept.get(kind)
        if kept is not None:
            return _copied(admin, kept)
        before, began = _contents(admin), _sequences(admin)
        admin.commit()
        made = make()
        _keep(admin, kind, made, before, began)
    return made


def _is_new(admin: psycopg.Connection[Any]) -> bool:
    found = admin.execute("SELECT EXISTS (SELECT FROM agencies)").fetchone()
    return found == (False,)


def _contents(admin: psycopg.Connection[Any]) -> dict[str, list[str]]:
    """Every table's rows, as JSON."""
    return {
        table: [
            json.dumps(row[0], sort_keys=True)
            for row in admin.execute(
                sql.SQL("SELECT to_jsonb(t) FROM {} t").format(sql.Identifier(table))
            )
        ]
        for table, _columns, _times in admin.execute(_COLUMNS).fetchall()
    }


def _sequences(admin: psycopg.Connection[Any]) -> dict[str, int | None]:
    return dict(admin.execute(_SEQUENCES).fetchall())


def _keep(
    admin: psycopg.Connection[Any],
    kind: Hashable,
    made: Any,
    before: Mapping[str, list[str]],
    began: Mapping[str, int | None],
) -> None:
    """Keep what came, unless a row that was there is another one now."""
    new: dict[str, str] = {}
    for table, rows in _contents(admin).items():
        if not set(before[table]) <= set(rows):
            return
        came = set(rows) - set(before[table])
        if came:
            new[table] = f"[{', '.join(row for row in rows if row in came)}]"
    moved = {name: last for name, last in _sequences(admin).items() if last and last != began[name]}
    ids = sorted({found for rows in new.values() for found in _UUID.findall(rows)})
    columns = {
        table: (own, times or ()) for table, own, times in admin.execute(_COLUMNS) if table in new
    }
    _kept[kind] = Kept(new, ids, columns, moved, made, datetime.now(UTC))


def _copied(admin: psycopg.Connection[Any], kept: Kept) -> Any:
    """Write the rows with new ids, in the order of the old ones, and as many seconds later."""
    names = {one: str(new_id()) for one in kept.ids}
    later = (datetime.now(UTC) - kept.at).total_seconds()
    statements = [sql.SQL("SET LOCAL session_replication_role = replica")]
    for table, rows in kept.rows.items():
        own, times = kept.columns[table]
        values = [
            sql.SQL("{} + make_interval(secs => {})").format(sql.Identifier(one), later)
            if one in times
            else sql.Identifier(one)
            for one in own
        ]
        statements.append(
            sql.SQL(
                "INSERT INTO {table} ({own}) OVERRIDING SYSTEM VALUE"
                " SELECT {values} FROM jsonb_populate_recordset(NULL::{table}, {rows})"
            ).format(
                table=sql.Identifier(table),
                own=sql.SQL(", ").join(map(sql.Identifier, own)),
                values=sql.SQL(", ").join(values),
                rows=sql.Literal(_UUID.sub(lambda found: names[found[0]], rows)),
            )
        )
    for name, last in kept.sequences.items():
        statements.append(sql.SQL("SELECT setval({}, {})").format(f"public.{name}", last))
    # All of it in one go.
    admin.execute(sql.SQL("; ").join(statements))
    admin.commit()
    return _named_anew(kept.made, names)


def _named_anew(made: Any, names: Mapping[str, str]) -> Any:
    fields = {name: getattr(made, name) for name in made.__dataclass_fields__}
    return type(made)(
        **{
            name: UUID(names[str(value)]) if str(value) in names else value
            for name, value in fields.items()
        }
    )
