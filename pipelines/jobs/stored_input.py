"""Keep an upload in sealed parts, and read it back one part in memory at a time."""

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO
from uuid import UUID

from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from models.base import new_id
from models.jobs import JobInput
from pipelines.limits import Limits
from pipelines.sealing import Keyring, Purpose


@dataclass(frozen=True, slots=True)
class Tenant:
    """Whose upload it is; the platform's own has neither."""

    agency_id: UUID | None
    client_id: UUID | None


_PART = text("SELECT id, sealed, content FROM job_inputs WHERE job_id = :job AND part = :part")
_FORGET = text("DELETE FROM job_inputs WHERE job_id = :job")


def keep_input(
    session: Session,
    job_id: UUID,
    stream: BinaryIO,
    *,
    tenant: Tenant,
    purpose: Purpose,
    keyring: Keyring,
    limits: Limits,
) -> None:
    """Store the stream from where it stands: nothing of it is anywhere in clear."""
    number = 0
    while part := stream.read(limits.input_part_bytes):
        number += 1
        identity = new_id()
        # Latin-1 keeps every byte as one character: the part is text only for the sealing.
        sealed = keyring.seal(
            purpose,
            part.decode("latin-1"),
            table="job_inputs",
            row_id=identity,
            column="content",
        )
        session.execute(
            insert(JobInput).values(
                id=identity,
                job_id=job_id,
                part=number,
                agency_id=tenant.agency_id,
                client_id=tenant.client_id,
                sealed=True,
                content=sealed,
            )
        )


class StoredInput(io.RawIOBase):
    """The bytes of a job's upload, opened part by part as they are read."""

    def __init__(
        self, session: Session, job_id: UUID, keyring: Keyring, *, purpose: Purpose
    ) -> None:
        self._session = session
        self._job_id = job_id
        self._keyring = keyring
        self._purpose = purpose
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
        opened = self._keyring.open_sealed(
            self._purpose, row.content, table="job_inputs", row_id=row.id, column="content"
        )
        return opened.reveal().encode("latin-1")


@contextmanager
def spooled(stored: StoredInput, *, part_bytes: int) -> Iterator[BinaryIO]:
    """The upload in a private, nameless file, for a reader that needs the connection itself."""
    with tempfile.TemporaryFile() as spool:
        while part := stored.read(part_bytes):
            spool.write(part)
        spool.seek(0)
        yield spool


def forget_input(session: Session, job_id: UUID) -> None:
    """The upload was worked in: it is not kept, not even sealed."""
    session.execute(_FORGET, {"job": job_id})
