"""The key versions that stored values rest on, held against the keys that this process has."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.key_versions import KeyState
from pipelines.keys.trial import Verdict, try_key
from pipelines.sealing import Keyring

_VERSIONS = text("""
SELECT version, state, check_value, carries_index, created_at, retired_at
FROM key_versions ORDER BY version
""")
_NOTE = text("""
INSERT INTO key_versions (version, check_value, carries_index)
VALUES (:version, :check, :carries_index) ON CONFLICT DO NOTHING
""")
_NOTE_CHECK = text(
    "UPDATE key_versions SET check_value = :check WHERE version = :version AND check_value IS NULL"
)
_NOTE_INDEX = text("UPDATE key_versions SET carries_index = true WHERE version = :version")
PUT_BACK = "Put the right one back into LARGESSE_MASTER_KEYS; without it they cannot be opened."


@dataclass(frozen=True, slots=True)
class VersionSeen:
    """One version as the database knows it."""

    version: int
    state: KeyState
    check_value: bytes | None
    carries_index: bool
    created_at: datetime
    retired_at: datetime | None


def look_at_versions(session: Session) -> list[VersionSeen]:
    return [
        VersionSeen(
            row.version,
            KeyState(row.state),
            row.check_value,
            row.carries_index,
            row.created_at,
            row.retired_at,
        )
        for row in session.execute(_VERSIONS)
    ]


def key_faults(seen: list[VersionSeen], keyring: Keyring) -> list[str]:
    """Why a process with these keys must not start; pure, one sentence each with its remedy."""
    faults = []
    live = [known.version for known in seen if known.state is not KeyState.RETIRED]
    if missing := sorted(keyring.missing(live)):
        named = ", ".join(str(version) for version in missing)
        faults.append(f"Stored values are sealed under key version {named}. {PUT_BACK}")
    for known in seen:
        if known.carries_index and known.version != keyring.index_version:
            faults.append(
                f"The blind index and reveal links rest on key version {known.version}. Keep it "
                "in LARGESSE_MASTER_KEYS, retired or not, and give no version a lower number."
            )
        if known.version not in keyring.versions or known.check_value is None:
            continue
        if known.check_value != keyring.check_value(known.version):
            faults.append(f"Key version {known.version} is not the key it was before. {PUT_BACK}")
        if known.version == keyring.current and known.state is not KeyState.LIVE:
            faults.append(
                f"Key version {known.version} is {known.state}: nothing may be sealed under it. "
                "Put a live version first in LARGESSE_MASTER_KEYS."
            )
    return faults


def note_versions(session: Session, keyring: Keyring) -> list[str]:
    """Hold the keys against the database, and write down what it does not know of them yet.

    Two who come first at once write one after the other: the second reads what the first wrote,
    and takes its own back.
    """
    seen = look_at_versions(session)
    faults = key_faults(seen, keyring) or _trial_faults(session, seen, keyring)
    if faults:
        return faults
    with session.begin_nested() as noting:
        _note(session, seen, keyring)
        if faults := key_faults(look_at_versions(session), keyring):
            noting.rollback()
    return faults


def _trial_faults(session: Session, seen: list[VersionSeen], keyring: Keyring) -> list[str]:
    """What stored values say against the keys that nothing is written down of yet."""
    return [
        f"Key version {known.version} does not open what is stored under it. {PUT_BACK} If it is "
        f"the right one, and the values are damaged: `largesse keys trust {known.version}`."
        for known in _unknown(seen, keyring)
        if known.state is not KeyState.RETIRED
        and try_key(session, keyring, known.version) is Verdict.DOES_NOT_OPEN
    ]


def _note(session: Session, seen: list[VersionSeen], keyring: Keyring) -> None:
    carrier_known = any(known.carries_index for known in seen)
    numbers = {known.version for known in seen}
    for version in sorted({keyring.current, keyring.index_version} - numbers):
        carries = version == keyring.index_version and not carrier_known
        check = keyring.check_value(version)
        values = {"version": version, "check": check, "carries_index": carries}
        session.execute(_NOTE, values)
    if not carrier_known and keyring.index_version in numbers:
        session.execute(_NOTE_INDEX, {"version": keyring.index_version})
    for known in _unknown(seen, keyring):
        values = {"version": known.version, "check": keyring.check_value(known.version)}
        session.execute(_NOTE_CHECK, values)


def _unknown(seen: list[VersionSeen], keyring: Keyring) -> list[VersionSeen]:
    return [
        known for known in seen if known.check_value is None and known.version in keyring.versions
    ]
