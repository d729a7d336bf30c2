"""Admit a request: its idempotency key, and one large intake at a time."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol
from uuid import UUID

from flask import Response, request

from pipelines.errors import Kind, Refusal
from pipelines.limits import DEFAULTS
from pipelines.queue.keys import RequestKey

_QUOTED = re.compile(r'"([\x21\x23-\x7e]+)"')
_BARE = re.compile(r"[\x21\x23-\x7e]+")


class Acting(Protocol):
    """Whoever may name a request: a caller of the API, or a visitor of the widget."""

    @property
    def actor_id(self) -> UUID: ...


class KeyRequired(Refusal):
    """This request accepts work or moves money, and needs a name to happen once."""

    code = "idempotency_key_required"
    kind = Kind.MALFORMED
    detail = "Send an Idempotency-Key header, such as a UUID, so that a repeat does nothing twice."


class KeyInvalid(Refusal):
    """The idempotency key is empty, too long or has characters that no key has."""

    code = "idempotency_key_invalid"
    kind = Kind.MALFORMED
    detail = (
        f"An Idempotency-Key has 1 to {DEFAULTS.idempotency_key_characters_max} printable ASCII "
        "characters, bare or in double quotes."
    )


class IntakeBusy(Refusal):
    """This process takes in another file just now."""

    code = "intake_busy"
    kind = Kind.BUSY
    detail = "Another file is being taken in. Send this one again in a moment."


def request_key(caller: Acting, *content: bytes) -> RequestKey:
    """The caller's name for this request with the digest of what is asked."""
    given = request.headers.get("Idempotency-Key")
    if given is None:
        raise KeyRequired
    match = _QUOTED.fullmatch(given) or _BARE.fullmatch(given)
    key = match[match.lastindex or 0] if match else ""
    if not 0 < len(key) <= DEFAULTS.idempotency_key_characters_max:
        raise KeyInvalid
    digest = hashlib.sha256()
    for part in (request.method.encode(), request.path.encode(), *content):
        digest.update(len(part).to_bytes(8, "big") + part)
    return RequestKey(caller.actor_id, key, digest.digest())


def offered_key(caller: Acting, *content: bytes) -> RequestKey | None:
    """As `request_key`, where a key is welcome but need not be given."""
    return request_key(caller, *content) if "Idempotency-Key" in request.headers else None


def canonical(body: Any) -> bytes:
    """A body's one spelling: members in order, nothing between them."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), default=str).encode()


def mark_replay(response: Response, *, is_replay: bool) -> Response:
    """Say that an earlier request with this key made what is shown."""
    if is_replay:
        response.headers["Idempotent-Replayed"] = "true"
    return response


_INTAKE = threading.BoundedSemaphore(1)


@contextmanager
def intake_slot() -> Iterator[None]:
    """One large intake at a time, so that the others' answers stay quick."""
    if not _INTAKE.acquire(blocking=False):
        raise IntakeBusy(retry_after_seconds=2)
    try:
        yield
    finally:
        _INTAKE.release()
