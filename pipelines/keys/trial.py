"""Try a key on the values that are stored under its version, before it is taken as the right one.

Newest first: what the current key seals lies there. A key whose values are elsewhere is looked for
to the end of every table; that happens once per version, for then it is known.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from itertools import islice
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.keys.columns import SEALED, SealedTable
from pipelines.keys.walk import rows_under
from pipelines.sealing import Keyring

#: Values of one table that may be damaged before the key is believed to be another one.
VALUES_TRIED = 1_000


class Verdict(Enum):
    OPENS = auto()
    #: There are values, and none of those that were tried opens.
    DOES_NOT_OPEN = auto()
    #: None in any table.
    NO_VALUES = auto()


@dataclass(frozen=True, slots=True)
class Tried:
    """How many values under a version open with its key, of all there are."""

    opened: int
    unopened: int


def try_key(session: Session, keyring: Keyring, version: int) -> Verdict:
    """What the stored values say of this ring's key for `version`; one that opens is enough."""
    verdict = Verdict.NO_VALUES
    for table in SEALED:
        for opens in islice(_trials(session, table, keyring, version), VALUES_TRIED):
            if opens:
                return Verdict.OPENS
            verdict = Verdict.DOES_NOT_OPEN
    return verdict


def try_all(session: Session, keyring: Keyring, version: int) -> Tried:
    """Try the key on every value there is."""
    found = {True: 0, False: 0}
    for table in SEALED:
        for opens in _trials(session, table, keyring, version):
            found[opens] += 1
    return Tried(opened=found[True], unopened=found[False])


def _trials(session: Session, table: SealedTable, keyring: Keyring, version: int) -> Iterator[bool]:
    """Whether each value under `version` opens; never more rows in memory than rotation takes."""
    for ids in rows_under(session, table, version):
        for first in range(0, len(ids), table.rows_at_once):
            some = ids[first : first + table.rows_at_once]
            for row in session.execute(_values(table), {"ids": some}).all():
                for column, purposes in table.columns.items():
                    sealed = getattr(row, column)
                    if sealed and sealed[0] == version:
                        place = {"table": table.name, "row_id": row.id, "column": column}
                        yield keyring.opens(purposes, sealed, **place)


def _values(table: SealedTable) -> Any:
    return text(
        f"SELECT {table.row_id} AS id, {', '.join(table.columns)} FROM {table.name} "
        f"WHERE {table.row_id} = ANY(:ids) ORDER BY {table.row_id} DESC"
    )
