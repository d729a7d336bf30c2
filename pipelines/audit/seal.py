"""Number and chain what was written since: a duty, per stream, a bounded piece at a time."""

from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.audit.chain import canonical_sql, genesis, link, stream_sql

#: Entries sealed in one transaction: what is read, hashed and written in well under a second.
SEALED_AT_ONCE = 2_000

# Oldest first; whose turn it is decides, and streams with an endless tail share the pass.
_STREAMS = text(f"""
SELECT DISTINCT {stream_sql("e")} AS stream FROM (
    SELECT agency_id, client_id FROM audit_entries WHERE sequence IS NULL
    ORDER BY at LIMIT :limit) e
ORDER BY stream
""")
# Only what is not there: a conflict with a head that another sealer moves would wait for it.
_BEGIN = text("""
INSERT INTO audit_heads (stream, hash)
SELECT s.stream, s.hash
FROM unnest(CAST(:streams AS text[]), CAST(:hashes AS bytea[])) AS s (stream, hash)
WHERE NOT EXISTS (SELECT FROM audit_heads h WHERE h.stream = s.stream)
ON CONFLICT DO NOTHING
""")
# Another sealer's streams are its own affair.
_HEADS = text("""
SELECT stream, sequence, hash FROM audit_heads WHERE stream = ANY (:streams)
ORDER BY stream FOR NO KEY UPDATE SKIP LOCKED
""")
# A new statement, after the heads are ours: it sees what the sealer before us committed.
_UNSEALED = text(f"""
SELECT e.id, {stream_sql("e")} AS stream, {canonical_sql("e")} AS canonical
FROM (SELECT * FROM audit_entries WHERE sequence IS NULL ORDER BY at, id LIMIT :limit) e
WHERE {stream_sql("e")} = ANY (:streams)
ORDER BY stream, e.at, e.id
""")
_SEAL = text("""
UPDATE audit_entries e SET sequence = s.sequence, chain_hash = s.hash
FROM unnest(CAST(:ids AS uuid[]), CAST(:sequences AS bigint[]), CAST(:hashes AS bytea[]))
    AS s (id, sequence, hash)
WHERE e.id = s.id
""")
_GO_ON = text("""
UPDATE audit_heads h SET sequence = s.sequence, hash = s.hash, updated_at = clock_timestamp()
FROM unnest(CAST(:streams AS text[]), CAST(:sequences AS bigint[]), CAST(:hashes AS bytea[]))
    AS s (stream, sequence, hash)
WHERE h.stream = s.stream
""")


@dataclass(frozen=True, slots=True)
class Sealed:
    """What one pass did; `is_full` when there may be more."""

    entries: int
    is_full: bool


@dataclass(frozen=True, slots=True)
class _Link:
    stream: str
    sequence: int
    hash: bytes


def seal(session: Session, *, limit: int = SEALED_AT_ONCE) -> Sealed:
    """Seal the oldest unsealed entries, in the SYSTEM scope.

    An entry that was committed late, with an older time, simply comes later in its chain. Two
    sealers at once work on different streams; one that dies leaves its entries as they were.
    """
    streams = list(session.execute(_STREAMS, {"limit": limit}).scalars())
    if not streams:
        return Sealed(0, is_full=False)
    _begin_chains(session, streams)
    heads = {h.stream: h for h in session.execute(_HEADS, {"streams": streams})}
    rows = session.execute(_UNSEALED, {"streams": list(heads), "limit": limit}).all()
    links: list[_Link] = []
    ids = [row.id for row in rows]
    for stream, entries in groupby(rows, key=lambda row: row.stream):
        sequence, last = heads[stream].sequence, heads[stream].hash
        for entry in entries:
            sequence, last = sequence + 1, link(last, entry.canonical)
            links.append(_Link(stream, sequence, last))
    if links:
        session.execute(_SEAL, {"ids": ids} | _columns(links))
        ends = {one.stream: one for one in links}.values()
        session.execute(_GO_ON, {"streams": [one.stream for one in ends]} | _columns(list(ends)))
    return Sealed(len(links), is_full=len(links) == limit)


def _begin_chains(session: Session, streams: list[str]) -> None:
    """A head for each stream that has none yet."""
    hashes = [genesis(stream) for stream in streams]
    session.execute(_BEGIN, {"streams": streams, "hashes": hashes})


def _columns(links: list[_Link]) -> dict[str, object]:
    return {"sequences": [one.sequence for one in links], "hashes": [one.hash for one in links]}
