"""Seal every stored value under the current key again: table by table, chunk by chunk, as tasks.

A chunk takes only rows that nobody has in hand, so it waits for nobody and hardly anybody waits
for it; a reader takes no lock and finds each value under the version that the value itself names.
The cursor moves in the chunk's own transaction, so a crash at any point costs nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.audit.record import record
from pipelines.keys.columns import BY_NAME, SEALED, SealedTable, is_sealed_under
from pipelines.keys.turns import wait_for_turn
from pipelines.keys.versions import note_versions
from pipelines.queue.defer import defer
from pipelines.queue.kinds import RESEAL
from pipelines.queue.work import Postpone, TaskInHand
from pipelines.sealing import Keyring
from pipelines.settings import SettingsBroken
from pipelines.telemetry import get_logger

log = get_logger(__name__)

#: A worker that was started with older keys waits this long for one that was not.
OTHER_WORKER_SECONDS = 10
#: Rows that somebody had in hand are looked for again after this.
NEXT_PASS_SECONDS = 2
_NIL = UUID(int=0)

# An order to rotate that was cut short goes on where it was.
_BEGIN = text(
    """
INSERT INTO resealings AS r (table_name, target_version, started_at, moved_at)
VALUES (:table, :target, :now, :now)
ON CONFLICT (table_name) DO UPDATE SET
    run = r.run + 1, target_version = :target, moved_at = :now, finished_at = NULL,
    done_until = CASE WHEN r.same THEN r.done_until END,
    passes = CASE WHEN r.same THEN r.passes ELSE 1 END,
    looked_at = CASE WHEN r.same THEN r.looked_at ELSE 0 END,
    resealed = CASE WHEN r.same THEN r.resealed ELSE 0 END,
    passed_over = CASE WHEN r.same THEN r.passed_over ELSE 0 END,
    unopened = CASE WHEN r.same THEN r.unopened ELSE 0 END,
    started_at = CASE WHEN r.same THEN r.started_at ELSE :now END
RETURNING run
""".replace("r.same", "r.target_version = :target AND r.finished_at IS NULL")
)
_TAKE = text("""
SELECT run, target_version, done_until, passed_over FROM resealings
WHERE table_name = :table FOR UPDATE
""")
_MOVE = text("""
UPDATE resealings SET done_until = :until, looked_at = looked_at + :looked_at,
    resealed = resealed + :resealed, passed_over = passed_over + :passed_over,
    unopened = unopened + :unopened, moved_at = :now WHERE table_name = :table
""")
_NEXT_PASS = text("""
UPDATE resealings SET done_until = NULL, passes = passes + 1, looked_at = 0, passed_over = 0,
    unopened = 0 WHERE table_name = :table
""")
_FINISH = text("UPDATE resealings SET finished_at = :now WHERE table_name = :table")


@dataclass(frozen=True, slots=True)
class Chunk:
    """What came of one chunk."""

    until: UUID | None
    looked_at: int = 0
    resealed: int = 0
    passed_over: int = 0
    unopened: int = 0


def begin_rotation(session: Session, keyring: Keyring, *, now: datetime) -> None:
    """Order every sealed table to be brought to the current version, from where it stands.

    Raises `SettingsBroken` for keys that are not those of the data, and `SealingBusy`.
    """
    wait_for_turn(session)
    if faults := note_versions(session, keyring):
        raise SettingsBroken("\n".join(faults))
    for table in SEALED:
        values = {"table": table.name, "target": keyring.current, "now": now}
        run = session.execute(_BEGIN, values).scalar_one()
        defer(session, RESEAL, args={"table": table.name, "run": run}, now=now)
    record(
        session,
        "keys.rotation_ordered",
        object_kind="key_version",
        object_id=None,
        actor_id=None,
        detail={"version": keyring.current},
    )


def reseal(session: Session, task: TaskInHand, now: datetime, *, keyring: Keyring) -> None:
    """The work of RESEAL: one chunk, and the order for the next."""
    table = BY_NAME[task.args["table"]]
    row = session.execute(_TAKE, {"table": table.name}).one_or_none()
    if row is None or row.run != task.args["run"]:
        return
    if row.target_version != keyring.current:
        raise Postpone(now + timedelta(seconds=OTHER_WORKER_SECONDS), "older_keys")
    chunk = _reseal_chunk(session, table, row.done_until, keyring)
    values = {name: getattr(chunk, name) for name in Chunk.__slots__}
    session.execute(_MOVE, values | {"table": table.name, "now": now})
    if chunk.until is not None:
        defer(session, RESEAL, args=task.args, now=now)
    elif row.passed_over + chunk.passed_over:
        session.execute(_NEXT_PASS, {"table": table.name})
        later = now + timedelta(seconds=NEXT_PASS_SECONDS)
        defer(session, RESEAL, args=task.args, now=now, run_after=later)
    else:
        session.execute(_FINISH, {"table": table.name, "now": now})
        log.info("keys.resealed", table=table.name, version=keyring.current)


def _reseal_chunk(
    session: Session, table: SealedTable, after: UUID | None, keyring: Keyring
) -> Chunk:
    values = {"after": after or _NIL, "rows": table.rows_at_once, "target": keyring.current}
    seen = session.execute(_window(table), values).all()
    if not seen:
        return Chunk(None)
    old = [row.id for row in seen if row.is_old]
    held = session.execute(_hold(table), {"ids": old}).all() if old else []
    unopened = _write(session, table, held, keyring)
    is_last = len(seen) < table.rows_at_once
    return Chunk(
        None if is_last else seen[-1].id,
        looked_at=len(seen),
        resealed=len(held) - unopened,
        passed_over=len(old) - len(held),
        unopened=unopened,
    )


def _write(session: Session, table: SealedTable, held: Sequence[Row[Any]], keyring: Keyring) -> int:
    """Write the rows that open in one statement; returns how many do not."""
    rows = []
    for row in held:
        values = [
            None
            if (sealed := getattr(row, column)) is None
            else keyring.rewrap(purposes, sealed, table=table.name, row_id=row.id, column=column)
            for column, purposes in table.columns.items()
        ]
        given = [getattr(row, column) for column in table.columns]
        if [v is None for v in values] == [v is None for v in given]:
            rows.append((row.id, *values))
    if rows:
        columns = dict(zip(("id", *table.columns), zip(*rows, strict=True), strict=True))
        session.execute(_update(table), {name: list(cells) for name, cells in columns.items()})
    return len(held) - len(rows)


def _window(table: SealedTable) -> Any:
    is_old = " OR ".join(is_sealed_under(column, "<> :target") for column in table.columns)
    return text(
        f"SELECT {table.row_id} AS id, ({is_old}) AS is_old FROM {table.name} "
        f"WHERE {table.row_id} > :after ORDER BY {table.row_id} LIMIT :rows"
    )


def _hold(table: SealedTable) -> Any:
    columns = ", ".join(table.columns)
    return text(
        f"SELECT {table.row_id} AS id, {columns} FROM {table.name} "
        f"WHERE {table.row_id} = ANY(:ids) ORDER BY {table.row_id} "
        "FOR NO KEY UPDATE SKIP LOCKED"
    )


def _update(table: SealedTable) -> Any:
    sets = ", ".join(f"{column} = v.{column}" for column in table.columns)
    arrays = ", ".join(f"CAST(:{column} AS bytea[])" for column in table.columns)
    return text(
        f"UPDATE {table.name} t SET {sets} FROM unnest(CAST(:id AS uuid[]), {arrays}) "
        f"AS v(id, {', '.join(table.columns)}) WHERE t.{table.row_id} = v.id"
    )
