"""Verify the chains: recompute every link from its entry, and compare heads and witnesses."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.audit.chain import canonical_sql, genesis, link, stream_sql
from pipelines.audit.witness import Witness

#: Entries in memory at once, however long a chain is.
READ_AT_ONCE = 2_000

_WHICH = f"(CAST(:stream AS text) IS NULL OR {stream_sql('e')} = CAST(:stream AS text))"
_SEALED = text(f"""
SELECT {stream_sql("e")} AS stream, e.sequence, e.id, e.chain_hash,
       {canonical_sql("e")} AS canonical
FROM audit_entries e WHERE e.sequence IS NOT NULL AND {_WHICH}
ORDER BY e.agency_id, e.client_id, e.sequence
""")
_HEADS = text("""
SELECT stream, sequence, hash FROM audit_heads
WHERE sequence > 0 AND (CAST(:stream AS text) IS NULL OR stream = CAST(:stream AS text))
""")
_WITNESSES = text("""
SELECT stream, sequence, hash, mac FROM audit_witnesses
WHERE CAST(:stream AS text) IS NULL OR stream = CAST(:stream AS text)
""")
_TAIL = text(f"""
SELECT count(*) AS entries, min(e.at) AS oldest_at,
       extract(epoch FROM clock_timestamp() - min(e.at)) AS seconds
FROM audit_entries e WHERE e.sequence IS NULL AND {_WHICH}
""")


class Wrong(StrEnum):
    """How a chain is broken at its first broken entry."""

    CHANGED = "changed"
    MISSING = "missing"
    REORDERED = "reordered"
    FOREIGN_HEAD = "foreign_head"
    NOT_AS_WITNESSED = "not_as_witnessed"
    FALSE_WITNESS = "false_witness"


#: What an auditor reads about each.
WORDS: Mapping[Wrong, str] = {
    Wrong.CHANGED: "the entry is not what was sealed",
    Wrong.MISSING: "the entry is missing",
    Wrong.REORDERED: "the entry stands where another one was sealed",
    Wrong.FOREIGN_HEAD: "the head of the stream is not its last entry",
    Wrong.NOT_AS_WITNESSED: "the chain is not the one that was witnessed here",
    Wrong.FALSE_WITNESS: "the witness was not written with our key",
}


@dataclass(frozen=True, slots=True)
class Broken:
    """The first entry of a stream that does not hold."""

    stream: str
    sequence: int
    wrong: Wrong

    def __str__(self) -> str:
        return f"{self.stream} {self.sequence}: {WORDS[self.wrong]}"


@dataclass(frozen=True, slots=True)
class Chains:
    """What was found: entries that hold, what is broken, and what is not sealed yet."""

    entries: int
    streams: int
    witnesses: int
    broken: tuple[Broken, ...]
    unsealed: int
    unsealed_since: datetime | None
    unsealed_seconds: float

    @property
    def ok(self) -> bool:
        return not self.broken

    def as_json(self) -> dict[str, Any]:
        """The shape that scripts rely on."""
        since = self.unsealed_since
        return {
            "ok": self.ok,
            "entries": self.entries,
            "streams": self.streams,
            "witnesses": self.witnesses,
            "broken": [asdict(one) | {"detail": WORDS[one.wrong]} for one in self.broken],
            "unsealed": {
                "entries": self.unsealed,
                "since": since.isoformat() if since else None,
                "seconds": round(self.unsealed_seconds, 1),
            },
        }


@dataclass(slots=True)
class _Walk:
    """One stream, walked link by link until the first that does not hold."""

    stream: str
    witnesses: Mapping[int, Witness]
    sequence: int = 0
    last: bytes = b""
    broken: Broken | None = None

    def __post_init__(self) -> None:
        self.last = genesis(self.stream)

    def step(self, entry: Row[Any], following: Row[Any] | None) -> None:
        """Take one more entry; `following` tells a swap from a change."""
        if self.broken is not None:
            return
        expected = self.sequence + 1
        if entry.sequence != expected:
            self._break(expected, Wrong.MISSING)
            return
        if link(self.last, entry.canonical) != bytes(entry.chain_hash):
            swapped = following is not None and link(self.last, following.canonical) in {
                bytes(entry.chain_hash),
                bytes(following.chain_hash),
            }
            self._break(expected, Wrong.REORDERED if swapped else Wrong.CHANGED)
            return
        self.sequence, self.last = expected, bytes(entry.chain_hash)
        seen = self.witnesses.get(expected)
        if seen is not None and seen.hash != self.last:
            self._break(expected, Wrong.NOT_AS_WITNESSED)

    def end(self, head: tuple[int, bytes] | None) -> None:
        """The chain is over: its head must be here, and nothing witnessed may lie beyond."""
        if self.broken is not None:
            return
        if head is None or head != (self.sequence, self.last):
            beyond = head is not None and head[0] > self.sequence
            at = self.sequence + 1 if beyond else self.sequence
            self._break(at, Wrong.MISSING if beyond else Wrong.FOREIGN_HEAD)
            return
        later = [number for number in self.witnesses if number > self.sequence]
        if later:
            self._break(self.sequence + 1, Wrong.MISSING)

    def _break(self, sequence: int, wrong: Wrong) -> None:
        self.broken = Broken(self.stream, sequence, wrong)


def verify(
    session: Session,
    *,
    key: bytes | None,
    stream: str | None = None,
    witnesses: Iterable[Witness] = (),
) -> Chains:
    """Verify all chains or one; the session must see all rows, and memory stays bounded.

    `key` proves the witnesses themselves; without it they are compared and not proven. Further
    `witnesses`, such as lines of the log, are compared too.
    """
    session.connection(
        execution_options={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    )
    asked = {"stream": stream}
    heads = {h.stream: (h.sequence, bytes(h.hash)) for h in session.execute(_HEADS, asked)}
    kept = [
        Witness(row.stream, row.sequence, bytes(row.hash), bytes(row.mac))
        for row in session.execute(_WITNESSES, asked)
    ]
    told = [one for one in witnesses if stream is None or one.stream == stream]
    seen, broken = _judged([*kept, *told], key)
    entries, walked = 0, set()
    for name, rows in groupby(_entries(session, asked), key=lambda row: row.stream):
        walk = _Walk(name, seen.pop(name, {}))
        entries += _walk(walk, rows)
        walk.end(heads.pop(name, None))
        walked.add(name)
        broken += [walk.broken] if walk.broken else []
    # What is left has a head or a witness, and not one entry.
    gone = [Broken(name, 1, Wrong.MISSING) for name in sorted({*heads, *seen})]
    tail = session.execute(_TAIL, asked).one()
    return Chains(
        entries=entries,
        streams=len(walked) + len(gone),
        witnesses=len(kept) + len(told),
        broken=tuple(broken + gone),
        unsealed=tail.entries,
        unsealed_since=tail.oldest_at,
        unsealed_seconds=float(tail.seconds or 0),
    )


def _judged(
    witnesses: list[Witness], key: bytes | None
) -> tuple[dict[str, dict[int, Witness]], list[Broken]]:
    """The witnesses by stream and place; those that are false, or contradict one another."""
    by_stream: dict[str, dict[int, Witness]] = {}
    false = []
    for one in witnesses:
        if key is not None and not one.is_genuine(key):
            false.append(Broken(one.stream, one.sequence, Wrong.FALSE_WITNESS))
            continue
        there = by_stream.setdefault(one.stream, {}).setdefault(one.sequence, one)
        if there.hash != one.hash:
            false.append(Broken(one.stream, one.sequence, Wrong.NOT_AS_WITNESSED))
    return by_stream, false


def _entries(session: Session, asked: Mapping[str, str | None]) -> Iterator[Row[Any]]:
    options = {"yield_per": READ_AT_ONCE}
    yield from session.execute(_SEALED, asked, execution_options=options)


def _walk(walk: _Walk, rows: Iterator[Row[Any]]) -> int:
    """Step through a stream's entries, each with the one after it; returns how many there are."""
    count, entry = 0, next(rows, None)
    while entry is not None:
        following = next(rows, None)
        walk.step(entry, following)
        count, entry = count + 1, following
    return count
