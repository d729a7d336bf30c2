"""How the keys stand: versions, who seals with what, and how far a rotation is."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.keys.retire import sealers_beside
from pipelines.keys.versions import VersionSeen, look_at_versions
from pipelines.limits import Limits
from pipelines.sealing import Keyring

# The planner's own count of the rows: exact numbers would cost a walk over the table.
_RESEALINGS = text("""
SELECT r.table_name, r.target_version, r.passes, r.looked_at, r.resealed, r.passed_over,
    r.unopened, r.started_at, r.moved_at, r.finished_at,
    greatest(c.reltuples, 0)::bigint AS rows_about
FROM resealings r LEFT JOIN pg_class c ON c.oid = to_regclass(r.table_name) ORDER BY r.table_name
""")


@dataclass(frozen=True, slots=True)
class ResealingSeen:
    """One table's way to the target version, in its present pass."""

    table_name: str
    target_version: int
    passes: int
    looked_at: int
    resealed: int
    passed_over: int
    unopened: int
    started_at: datetime
    moved_at: datetime
    finished_at: datetime | None
    rows_about: int

    def as_json(self) -> dict[str, Any]:
        return {name: _plain(getattr(self, name)) for name in ResealingSeen.__slots__}


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """All of it, for people and for scripts; no key and nothing derived from one."""

    current: int
    index_version: int
    versions: list[VersionSeen]
    resealings: list[ResealingSeen]
    processes_beside: list[str]

    @property
    def is_finished(self) -> bool:
        """Whether every table was brought to the current version."""
        return bool(self.resealings) and all(
            seen.finished_at is not None and seen.target_version == self.current
            for seen in self.resealings
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "current": self.current,
            "index_version": self.index_version,
            "rotation_finished": self.is_finished,
            "versions": [
                {
                    "version": seen.version,
                    "state": seen.state.value,
                    "carries_index": seen.carries_index,
                    "created_at": _plain(seen.created_at),
                    "retired_at": _plain(seen.retired_at),
                }
                for seen in self.versions
            ],
            "resealings": [seen.as_json() for seen in self.resealings],
            "processes_with_other_keys": self.processes_beside,
        }


def key_status(session: Session, keyring: Keyring, *, now: datetime, limits: Limits) -> KeyStatus:
    return KeyStatus(
        current=keyring.current,
        index_version=keyring.index_version,
        versions=look_at_versions(session),
        resealings=[ResealingSeen(**row) for row in session.execute(_RESEALINGS).mappings()],
        processes_beside=sealers_beside(session, current=keyring.current, now=now, limits=limits),
    )


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
