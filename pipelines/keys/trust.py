"""Take a key as the right one on an operator's word, where the stored values do not speak for it.

All of them may be damaged, or a wrong key may have come first while there were none.
"""

from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.audit.record import record
from pipelines.keys.refusals import VersionInUse, VersionUnknown
from pipelines.keys.trial import Tried, try_all
from pipelines.keys.turns import wait_for_turn
from pipelines.limits import Limits
from pipelines.sealing import Keyring
from pipelines.settings import SettingsBroken

# A process of before schema 0010 does not say what it seals with, and is taken at its worst.
_SEALERS = text("""
SELECT name, host, pid FROM processes
WHERE beat_at > :since AND coalesce(key_version, :version) = :version
ORDER BY name, host, pid
""")
_KNOWN = text("SELECT FROM key_versions WHERE version = :version")
_NOTE = text("""
UPDATE key_versions SET check_value = :check
WHERE version = :version AND check_value IS DISTINCT FROM :check RETURNING version
""")


def weigh(
    session: Session, version: int, *, keyring: Keyring, now: datetime, limits: Limits
) -> Tried:
    """What an operator must know before `trust`: try the key on every value of its version."""
    _check(session, version, keyring, now - timedelta(seconds=limits.process_gone_seconds))
    return try_all(session, keyring, version)


def trust(
    session: Session,
    version: int,
    *,
    tried: Tried,
    keyring: Keyring,
    now: datetime,
    limits: Limits,
) -> None:
    """Note this ring's key as that of `version`, whatever was noted before.

    Trusting twice changes nothing. Raises `SealingBusy`.
    """
    wait_for_turn(session)
    _check(session, version, keyring, now - timedelta(seconds=limits.process_gone_seconds))
    values = {"version": version, "check": keyring.check_value(version)}
    if session.execute(_NOTE, values).one_or_none():
        record(
            session,
            "keys.trusted",
            object_kind="key_version",
            object_id=None,
            actor_id=None,
            detail={"version": version, "opened": tried.opened, "unopened": tried.unopened},
        )


def _check(session: Session, version: int, keyring: Keyring, since: datetime) -> None:
    """Else two keys would seal under one number: the trusted one, and that of who runs."""
    if version not in keyring.versions:
        raise SettingsBroken(f"Key version {version} is not in LARGESSE_MASTER_KEYS.")
    if session.execute(_KNOWN, {"version": version}).one_or_none() is None:
        raise VersionUnknown(f"No value was ever sealed under key version {version}.")
    found = session.execute(_SEALERS, {"version": version, "since": since})
    if beside := [f"{row.name} ({row.host}, pid {row.pid})" for row in found]:
        raise VersionInUse(
            f"Processes run that seal with version {version}: {', '.join(beside)}. Stop them first."
        )
