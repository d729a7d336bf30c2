"""Read a stored upload back as one stream, one part in memory at a time."""

import io
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.sealing import Keyring, Purpose

_PART = text("SELECT id, sealed, content FROM job_inputs WHERE job_id = :job AND part = :part")
_FORGET = text("DELETE FROM job_inputs WHERE job_id = :job")


class StoredInput(io.RawIOBase):
    """The bytes of a job's upload, opened part by part as they are read."""

    def __init__(self, session: Session, job_id: UUID, keyring: Keyring) -> None:
        self._session = session
        self._job_id = job_id
        self._keyring = keyring
        self._next_part = 1
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        if not self._rest:
            self._rest = self._load()
        piece, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(piece)] = piece
        return len(piece)

    def _load(self) -> bytes:
        row = self._session.execute(
            _PART, {"job": self._job_id, "part": self._next_part}
        ).one_or_none()
        if row is None:
            return b""
        self._next_part += 1
        if not row.sealed:
            return bytes(row.content)
        opened = self._keyring.open_sealed(
            Purpose.CODES, row.content, table="job_inputs", row_id=row.id, column="content"
        )
        return opened.reveal().encode("latin-1")


def forget_input(session: Session, job_id: UUID) -> None:
    """The upload was worked in: a card file is not kept, not even sealed."""
    session.execute(_FORGET, {"job": job_id})
