"""Lists by keyset with opaque cursors, ETags, versions and `Prefer: wait`."""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

from flask import Response, jsonify, request

from pipelines.errors import FieldError, Kind, Refusal, ValidationFailed
from pipelines.limits import DEFAULTS

Shown = TypeVar("Shown")
CURSOR_CHARACTERS_MAX = 512
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})\"?(?:$|[,;\s])", re.ASCII)
_VERSION = re.compile(r'(?:W/)?"(\d{1,9})"', re.ASCII)


class InvalidCursor(Refusal):
    """The cursor is not one that this list gave."""

    code = "invalid_cursor"
    kind = Kind.MALFORMED
    detail = "The cursor is not valid. Take it from `next_cursor` of the page before."


class PreconditionRequired(Refusal):
    """A change of this must say which version of it the caller has read."""

    code = "precondition_required"
    kind = Kind.UNCONDITIONAL
    detail = 'Send If-Match with the ETag that you read, such as "3", so that no change is lost.'


def listed(
    rows: Sequence[Shown],
    *,
    limit: int,
    view: Callable[[Shown], Any],
    place: Callable[[Shown], UUID | int | str],
) -> Response:
    """One page as api.md has it; the caller fetched one row more than `limit`."""
    shown = rows[:limit]
    has_more = len(rows) > limit
    cursor = next_place(place(shown[-1])) if has_more else None
    return jsonify(
        {"data": [view(row) for row in shown], "has_more": has_more, "next_cursor": cursor}
    )


def id_cursor(query: dict[str, Any]) -> UUID | None:
    """The id to go on from; raises `InvalidCursor`."""
    try:
        return None if query["cursor"] is None else UUID(_decoded(query["cursor"]))
    except ValueError:
        raise InvalidCursor from None


def number_cursor(query: dict[str, Any]) -> int | None:
    """The number to go on from; raises `InvalidCursor`."""
    if query["cursor"] is None:
        return None
    text = _decoded(query["cursor"])
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InvalidCursor
    return int(text)


def text_cursor(query: dict[str, Any]) -> str | None:
    """The place to go on from as its list wrote it, for that to read; raises `InvalidCursor`."""
    return None if query["cursor"] is None else _decoded(query["cursor"])


def next_place(place: UUID | int | str | None) -> str | None:
    """The cursor that goes on after a place; None where nothing follows."""
    return None if place is None else _encoded(place)


def _encoded(place: UUID | int | str) -> str:
    return base64.urlsafe_b64encode(f"after:{place}".encode()).rstrip(b"=").decode()


def _decoded(cursor: str) -> str:
    try:
        if len(cursor) > CURSOR_CHARACTERS_MAX:
            raise InvalidCursor
        raw = base64.b64decode(
            cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True
        )
        word, _colon, place = raw.decode("ascii").partition(":")
    except (binascii.Error, ValueError):
        raise InvalidCursor from None
    if word != "after":
        raise InvalidCursor
    return place


def etag_of(value: Any) -> str:
    """A weak tag of what a caller would see changed."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def unchanged(tag: str) -> bool:
    """Whether the caller has this very state already."""
    return request.if_none_match.contains_weak(tag)


def read_version(body: dict[str, Any]) -> int | None:
    """The version the caller last read: `If-Match` or the body's `version`."""
    given = request.headers.get("If-Match", "").strip()
    if given in {"", "*"}:
        version: int | None = body.get("version")
        return version
    match = _VERSION.fullmatch(given)
    if match is None:
        detail = 'Send If-Match as the ETag you were given, such as "3".'
        raise ValidationFailed(errors=(FieldError("version", detail, pointer="/version"),))
    return int(match[1])


def insisted_version() -> int | None:
    """As `read_version`, where the header must be there; None for `*`, which is any version.

    Raises `PreconditionRequired`.
    """
    if not request.headers.get("If-Match", "").strip():
        raise PreconditionRequired
    return read_version({})


def with_version(body: dict[str, Any], status: int = 200) -> Response:
    """One versioned resource, its version as a strong ETag."""
    response = jsonify(body)
    response.status_code = status
    response.set_etag(str(body["version"]))
    return response


def wait_seconds() -> int:
    """How long the caller would wait for the end, at most the limit; 0 without `Prefer: wait`."""
    match = _WAIT.search(request.headers.get("Prefer", ""))
    return min(int(match[1]), DEFAULTS.prefer_wait_seconds_max) if match else 0
