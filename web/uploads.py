"""Take one CSV from a request into a private temporary file, counted and digested."""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from pipelines.errors import Kind, Refusal
from pipelines.jobs.csv_reader import UploadTooLarge

#: What the fields and boundaries of a form may add to its file.
FORM_BYTES_MAX = 256 * 1024
IN_MEMORY_BYTES_MAX = 1024 * 1024
PART_BYTES = 64 * 1024
NAME_CHARACTERS_MAX = 255


class FileRequired(Refusal):
    """The form has no part named `file`."""

    code = "file_required"
    kind = Kind.MALFORMED
    detail = "Send the CSV as the form's part `file`."


class OneFileExpected(Refusal):
    """The form has more than one file."""

    code = "one_file_expected"
    kind = Kind.MALFORMED
    detail = "Send one file, as the form's part `file`."


class NotCsv(Refusal):
    """The body is neither CSV nor a form."""

    code = "unsupported_media_type"
    kind = Kind.MEDIA
    detail = "Send the file as text/csv, or as the part `file` of multipart/form-data."


@dataclass(frozen=True, slots=True)
class Upload:
    """A file at its first byte; the name is for showing only, never a path."""

    stream: BinaryIO
    sha256: bytes
    name: str | None
    size_bytes: int


@contextmanager
def csv_upload(*, bytes_max: int) -> Iterator[Upload]:
    """The request's one CSV; it is gone from the disk when the block ends."""
    request.max_content_length = bytes_max + FORM_BYTES_MAX
    try:
        if request.mimetype == "multipart/form-data":
            with _part() as (stream, name):
                yield _measured(stream, bytes_max, name)
        elif request.mimetype == "text/csv":
            with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES_MAX) as spool:
                stream = cast("BinaryIO", spool)
                _spool(stream, bytes_max)
                yield _measured(stream, bytes_max, None)
        else:
            raise NotCsv
    except RequestEntityTooLarge:
        raise _too_large(bytes_max) from None


@contextmanager
def _part() -> Iterator[tuple[BinaryIO, str | None]]:
    files = [(field, file) for field, file in request.files.items(multi=True)]
    if len(files) > 1:
        raise OneFileExpected
    if not files or files[0][0] != "file":
        raise FileRequired
    part = files[0][1]
    try:
        yield cast("BinaryIO", part.stream), _shown(part.filename)
    finally:
        part.close()


def _spool(spool: BinaryIO, bytes_max: int) -> None:
    taken = 0
    while part := request.stream.read(PART_BYTES):
        taken += len(part)
        if taken > bytes_max:
            raise _too_large(bytes_max)
        spool.write(part)


def _measured(stream: BinaryIO, bytes_max: int, name: str | None) -> Upload:
    digest, taken = hashlib.sha256(), 0
    stream.seek(0)
    while part := stream.read(PART_BYTES):
        taken += len(part)
        if taken > bytes_max:
            raise _too_large(bytes_max)
        digest.update(part)
    stream.seek(0)
    return Upload(stream, digest.digest(), name, taken)


def _too_large(bytes_max: int) -> UploadTooLarge:
    return UploadTooLarge(
        f"A file may have {bytes_max} bytes here; split it into several.",
        extra={"limit_bytes": bytes_max},
    )


def _shown(name: str | None) -> str | None:
    """A client's file name, cut and made printable."""
    if not name:
        return None
    return "".join(c if c.isprintable() else "�" for c in name)[:NAME_CHARACTERS_MAX]
