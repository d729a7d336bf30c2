"""Retire a key version: only when it is certain that no value needs it, now or later.

First the version is closed: a trigger then refuses whatever would be sealed under it, and who was
at it when it closed has been waited for. What is found after that is all there will ever be.

Two who retire at once take turns: while one counts, nobody opens the version again beneath it, and
the next decides on what it finds then.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from models import clock
from models.database import Sessions, scoped_transaction
from models.key_versions import KeyState
from models.scope import SYSTEM
from pipelines.audit.record import record
from pipelines.keys.columns import SEALED
from pipelines.keys.refusals import (
    VersionCurrent,
    VersionInUse,
    VersionSealsValues,
    VersionUnknown,
)
from pipelines.keys.turns import wait_for_sealers, wait_for_turn
from pipelines.keys.versions import look_at_versions
from pipelines.keys.walk import rows_under
from pipelines.limits import Limits
from pipelines.sealing import Keyring

_SEALERS = text("""
SELECT name, host, pid FROM processes
WHERE beat_at > :since AND key_version IS DISTINCT FROM :current ORDER BY name, host, pid
""")
_SET = text("""
UPDATE key_versions SET state = :state,
    retired_at = CASE WHEN :state = 'retired' THEN CAST(:now AS timestamptz) END
WHERE version = :version
""")


@dataclass(frozen=True, slots=True)
class Counted:
    """Rows of one table in which a value is sealed under the version looked for."""

    table: str
    rows: int


def retire(sessions: Sessions, version: int, *, keyring: Keyring, limits: Limits) -> None:
    """Retire `version`, or refuse and leave it as it was. Retiring twice changes nothing."""
    while not _is_closed_for_good(sessions, version, keyring, limits):
        if left := _settle(sessions, version):
            named = ", ".join(f"{counted.rows} in {counted.table}" for counted in left)
            raise VersionSealsValues(
                f"Key version {version} still seals values: {named}. Run `largesse keys rotate`, "
                "wait until `largesse keys status` says that it is finished, then retire the "
                "version."
            )


def count_values(session: Session, version: int) -> list[Counted]:
    """The tables with rows that need `version`; each is looked through to its end."""
    counted = [
        Counted(table.name, sum(len(ids) for ids in rows_under(session, table, version)))
        for table in SEALED
    ]
    return [found for found in counted if found.rows]


def sealers_beside(session: Session, *, current: int, now: datetime, limits: Limits) -> list[str]:
    """Living processes that seal with another version than `current`, or do not say."""
    since = now - timedelta(seconds=limits.process_gone_seconds)
    found = session.execute(_SEALERS, {"since": since, "current": current})
    return [f"{row.name} ({row.host}, pid {row.pid})" for row in found]


def _is_closed_for_good(sessions: Sessions, version: int, keyring: Keyring, limits: Limits) -> bool:
    """Close the version, unless it is retired already."""
    with scoped_transaction(sessions, SYSTEM) as session:
        wait_for_turn(session)
        if _check(session, version, keyring, limits) is KeyState.RETIRED:
            return True
        wait_for_sealers(session)
        _set(session, version, KeyState.RETIRING)
    return False


def _settle(sessions: Sessions, version: int) -> list[Counted]:
    """Count under a closed version, and open it again for what is left; then that is returned.

    What somebody opened or retired in between is left as they left it, to be looked at anew.
    """
    with scoped_transaction(sessions, SYSTEM) as session:
        wait_for_turn(session)
        if _states(session)[version] is not KeyState.RETIRING:
            return []
        left = count_values(session, version)
        _set(session, version, KeyState.LIVE if left else KeyState.RETIRED)
        if not left:
            record(
                session,
                "keys.retired",
                object_kind="key_version",
                object_id=None,
                actor_id=None,
                detail={"version": version},
            )
    return left


def _check(session: Session, version: int, keyring: Keyring, limits: Limits) -> KeyState:
    known = _states(session)
    if version not in known:
        raise VersionUnknown(f"No value was ever sealed under key version {version}.")
    if version == keyring.current:
        raise VersionCurrent(
            f"Key version {version} is the current one. Put another first in "
            "LARGESSE_MASTER_KEYS, everywhere, and rotate to it."
        )
    now = clock.now(session)
    if beside := sealers_beside(session, current=keyring.current, now=now, limits=limits):
        raise VersionInUse(
            f"Processes run that do not seal with version {keyring.current}: {', '.join(beside)}. "
            "Start them again with the same LARGESSE_MASTER_KEYS as here."
        )
    return known[version]


def _states(session: Session) -> dict[int, KeyState]:
    return {seen.version: seen.state for seen in look_at_versions(session)}


def _set(session: Session, version: int, state: KeyState) -> None:
    values = {"version": version, "state": state.value, "now": clock.now(session)}
    session.execute(_SET, values)
