"""Let the heads be witnessed outside: under a key the database lacks, in a table and in the log."""

import hashlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.sealing import Keyring
from pipelines.telemetry import get_logger

log = get_logger(__name__)

KEY_LABEL = "audit-heads"
#: The name of the line that a witnessed head leaves in the log.
LOGGED_AS = "audit.witnessed"

# A head that did not move since it was last seen is witnessed already.
_MOVED = text("""
SELECT h.stream, h.sequence, h.hash FROM audit_heads h
WHERE h.sequence > 0 AND NOT EXISTS (
    SELECT FROM audit_witnesses w WHERE w.stream = h.stream AND w.sequence = h.sequence)
ORDER BY h.stream
""")
_WITNESS = text("""
INSERT INTO audit_witnesses (stream, sequence, hash, mac)
SELECT * FROM unnest(CAST(:streams AS text[]), CAST(:sequences AS bigint[]),
                     CAST(:hashes AS bytea[]), CAST(:macs AS bytea[]))
ON CONFLICT DO NOTHING
""")


@dataclass(frozen=True, slots=True)
class Witness:
    """A head of a stream as somebody saw it."""

    stream: str
    sequence: int
    hash: bytes
    mac: bytes

    def is_genuine(self, key: bytes) -> bool:
        return hmac.compare_digest(self.mac, mac_of(key, self.stream, self.sequence, self.hash))


def witness_key(keyring: Keyring) -> bytes:
    """The key of the witnesses: it stays when the master key is rotated."""
    return keyring.lasting_key(KEY_LABEL)


def mac_of(key: bytes, stream: str, sequence: int, head: bytes) -> bytes:
    """What only who has the key can write under a head."""
    return hmac.digest(key, f"{stream} {sequence} {head.hex()}".encode(), hashlib.sha256)


def witness_heads(session: Session, *, key: bytes) -> list[Witness]:
    """Witness every head that moved, in the SYSTEM scope; the caller logs them after its commit."""
    seen = [
        Witness(row.stream, row.sequence, bytes(row.hash), mac_of(key, *row))
        for row in session.execute(_MOVED)
    ]
    if seen:
        values = {
            "streams": [one.stream for one in seen],
            "sequences": [one.sequence for one in seen],
            "hashes": [one.hash for one in seen],
            "macs": [one.mac for one in seen],
        }
        session.execute(_WITNESS, values)
    return seen


def tell(witnesses: Iterable[Witness]) -> None:
    """One line of the log per head: a copy beyond the reach of who rules the database."""
    for one in witnesses:
        log.info(
            LOGGED_AS,
            stream=one.stream,
            sequence=one.sequence,
            head=one.hash.hex(),
            mac=one.mac.hex(),
        )


def in_log(lines: Iterable[str]) -> list[Witness]:
    """The witnesses that lines of a log tell of; every other line is passed over."""
    found = []
    for line in lines:
        if LOGGED_AS not in line:
            continue
        try:
            told = json.loads(line)
            head, mac = bytes.fromhex(told["head"]), bytes.fromhex(told["mac"])
            found.append(Witness(str(told["stream"]), int(told["sequence"]), head, mac))
        except (ValueError, TypeError, KeyError):
            continue
    return found
