"""What can go wrong, in two families, without a word about HTTP.

Exception
├── Refusal            expected, coded, shown to the caller: a rule said no
│   └── (one class per fact, named as the fact)
└── Fault              unexpected or passing: retried, logged, never explained to strangers
    ├── Interrupted    the work must stop here and be taken up again later
    └── LeaseLost      a newer holder owns this task: everything done here is void
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar


class Kind(StrEnum):
    """The nature of a refusal; `web/errors.py` maps each to one status."""

    MALFORMED = "malformed"
    UNAUTHENTICATED = "unauthenticated"
    PAYMENT = "payment"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    GONE = "gone"
    STALE = "stale"
    TOO_LARGE = "too_large"
    MEDIA = "media"
    INVALID = "invalid"
    FROZEN = "frozen"
    UNCONDITIONAL = "unconditional"
    THROTTLED = "throttled"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong in the input: where it is, its code, and what to do."""

    code: str
    detail: str
    pointer: str | None = None
    row: int | None = None
    field: str | None = None

    def as_json(self) -> dict[str, Any]:
        body: dict[str, Any] = {"code": self.code, "detail": self.detail}
        if self.row is None:
            body["pointer"] = self.pointer or "/"
        else:
            body |= {"row": self.row, "field": self.field}
        return body


class Refusal(Exception):
    """A rule said no: a stable code, a kind, a sentence for the user, and extra members.

    `extra` becomes members of the problem document; it never holds secrets or personal data.
    """

    code: ClassVar[str] = "refused"
    kind: ClassVar[Kind] = Kind.INVALID
    detail: str = "The request was refused."

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: tuple[FieldError, ...] = (),
        retry_after_seconds: int | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self.detail = detail or type(self).detail
        self.errors = errors
        self.retry_after_seconds = retry_after_seconds
        self.extra = dict(extra or {})
        super().__init__(self.code)


class NotFound(Refusal):
    """The thing does not exist, or not for this caller: both answers are the same."""

    code = "not_found"
    kind = Kind.NOT_FOUND
    detail = "There is no such resource."


class ValidationFailed(Refusal):
    """The input has errors; each is listed with its place and remedy."""

    code = "validation_failed"
    kind = Kind.INVALID
    detail = "The request has errors; see `errors`."


class Fault(Exception):
    """Something unexpected or passing; the work is tried again."""


class Interrupted(Fault):
    """Somebody asked to stop; what is under way goes on without us."""


class LeaseLost(Fault):
    """Another holder has this task's lease; what was done here must not be written."""
