"""Find the rows that need a key version: newest first, in statements of bounded size."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.keys.columns import SealedTable, is_sealed_under

#: Rows looked at by one statement, well below any statement's time limit.
LOOKED_AT_ONCE = 20_000
#: No row's id: RFC 9562 keeps it for what comes after all others.
_BEHIND_ALL = UUID(int=2**128 - 1)


def rows_under(session: Session, table: SealedTable, version: int) -> Iterator[list[UUID]]:
    """Ids of the rows with a value under `version`, as each statement finds them; to the end."""
    before = _BEHIND_ALL
    while True:
        values = {"before": before, "rows": LOOKED_AT_ONCE, "version": version}
        row = session.execute(_look(table), values).one()
        if row.last is None:
            return
        yield row.needing or []
        before = row.last


def _look(table: SealedTable) -> Any:
    needs = " OR ".join(is_sealed_under(column, "= :version") for column in table.columns)
    return text(
        "SELECT array_agg(id ORDER BY id DESC) FILTER (WHERE needs) AS needing, "
        "(array_agg(id ORDER BY id))[1] AS last "
        f"FROM (SELECT {table.row_id} AS id, ({needs}) AS needs FROM {table.name} "
        f"WHERE {table.row_id} < :before ORDER BY {table.row_id} DESC LIMIT :rows) w"
    )
