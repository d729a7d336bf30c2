"""Try a key on values that are stored under its version, before it is written down as the right one.

Bounded: the newest rows of each table are looked at, and those that a rotation comes to next.
"""

from enum import Enum, auto
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.keys.columns import SEALED, SealedTable, is_sealed_under
from pipelines.sealing import Keyring

#: Rows looked at from each of the two places; only the first byte of their values is read.
ROWS_LOOKED_AT = 1_000
#: Values tried of a table: one that was damaged does not speak against the key.
VALUES_TRIED = 5
_NIL = UUID(int=0)


class Verdict(Enum):
    OPENS = auto()
    #: There are values, and none of those that were tried is this key's.
    DOES_NOT_OPEN = auto()
    NO_VALUES = auto()
    #: Not among the rows looked at, and there are more.
    NOT_SEEN = auto()


def try_key(session: Session, keyring: Keyring, version: int) -> Verdict:
    """What the stored values say of this ring's key for `version`."""
    verdict = Verdict.NO_VALUES
    for table in SEALED:
        values = {"version": version, "rows": ROWS_LOOKED_AT, "tried": VALUES_TRIED}
        found = session.execute(_find(table), values | {"table": table.name, "nil": _NIL}).all()
        if any(_opens(row, table, keyring, version) for row in found):
            return Verdict.OPENS
        if found:
            verdict = Verdict.DOES_NOT_OPEN
        elif verdict is Verdict.NO_VALUES and session.execute(_more(table), values).scalar_one():
            verdict = Verdict.NOT_SEEN
    return verdict


def _opens(row: Row[Any], table: SealedTable, keyring: Keyring, version: int) -> bool:
    return any(
        keyring.opens(purposes, sealed, table=table.name, row_id=row.id, column=column)
        for column, purposes in table.columns.items()
        if (sealed := getattr(row, column)) and sealed[0] == version
    )


def _find(table: SealedTable) -> Any:
    rows = f"SELECT {table.row_id} AS id, {', '.join(table.columns)} FROM {table.name}"
    is_its = " OR ".join(is_sealed_under(column, "= :version") for column in table.columns)
    return text(f"""
WITH newest AS ({rows} ORDER BY {table.row_id} DESC LIMIT :rows),
next AS ({rows} WHERE {table.row_id} > coalesce(
        (SELECT done_until FROM resealings WHERE table_name = :table), CAST(:nil AS uuid))
    ORDER BY {table.row_id} LIMIT :rows)
SELECT * FROM (TABLE newest UNION ALL TABLE next) w WHERE {is_its} LIMIT :tried
""")


def _more(table: SealedTable) -> Any:
    return text(f"SELECT EXISTS (SELECT FROM {table.name} OFFSET :rows)")
