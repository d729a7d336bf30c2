"""Fields of request bodies, each with its stable error code, and the errors as a flat list."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from models.jobs import Priority
from pipelines.errors import FieldError
from pipelines.jobs.addresses import read_email
from pipelines.jobs.cells import (
    FORBIDDEN_CONTROLS,
    MINOR_DIGITS_MAX,
    NO_TIME,
    NO_ZONE,
    OUT_OF_YEARS,
    YEARS,
    CellProblem,
    read_stamp,
)
from pipelines.limits import DEFAULTS

#: As `models.jobs.Priority`, in the words of the API.
PRIORITIES = tuple(priority.name.lower() for priority in Priority)
ERRORS_SHOWN_MAX = 100
NO_CURRENCY = "unknown_currency|Give a currency by the three letters of ISO 4217, such as USD."
NAME_SHOWN_CHARACTERS = 64
#: A message is `code|sentence`; what marshmallow says by itself is translated here.
THEIR_MESSAGES = {
    "Missing data for required field.": ("required", "This field is required."),
    "Unknown field.": ("unknown_field", "This field is not known here."),
    "Field may not be null.": ("type", "The value may not be null."),
    "Invalid input type.": ("type", "Give an object."),
}
#: Codes that name the whole request's fault when no other stands beside them.
HEADLINES = frozenset(
    {
        "unknown_field",
        "invalid_amount",
        "amount_not_positive",
        "amount_zero",
        "amount_out_of_range",
        "use_csv_upload",
        "empty_recipients",
        "timezone_required",
        "invalid_timestamp",
    }
)
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})", re.ASCII)


class Minor(fields.Integer):
    """An amount in minor units: a JSON integer above zero."""

    default_error_messages = {  # noqa: RUF012 - marshmallow's own shape
        "invalid": "invalid_amount|Give the amount as an integer of minor units.",
        "negative": "invalid_amount|An amount is never negative: give it without a minus, in minor "
        "units.",
        "low": "amount_not_positive|The amount must be more than zero.",
        "high": "amount_out_of_range|The amount is too large.",
    }

    def __init__(self, *, zero: bool = False, **kwargs: Any) -> None:
        super().__init__(strict=True, **kwargs)
        self._least = 0 if zero else 1

    def _validated(self, value: Any) -> int:
        if isinstance(value, bool):
            raise self.make_error("invalid")
        number: int = super()._validated(value)
        if number < 0:
            raise self.make_error("negative")
        if number < self._least:
            raise self.make_error("low")
        if number >= 10**MINOR_DIGITS_MAX:
            raise self.make_error("high")
        return number


class SignedMinor(fields.Integer):
    """An amount in minor units with its sign: a JSON integer other than zero."""

    default_error_messages = {  # noqa: RUF012
        "invalid": "invalid_amount|Give the amount as an integer of minor units.",
        "zero": "amount_zero|The amount must not be zero.",
        "high": "amount_out_of_range|The amount is too large.",
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(strict=True, **kwargs)

    def _validated(self, value: Any) -> int:
        if isinstance(value, bool):
            raise self.make_error("invalid")
        number: int = super()._validated(value)
        if number == 0:
            raise self.make_error("zero")
        if abs(number) >= 10**MINOR_DIGITS_MAX:
            raise self.make_error("high")
        return number


class Count(fields.Integer):
    """A whole number within bounds: a JSON integer, or plain digits in a query."""

    default_error_messages = {  # noqa: RUF012
        "invalid": "type|Give a whole number.",
        "range": "out_of_range|Give a number from {low} to {high}.",
    }

    def __init__(self, *, low: int, high: int, in_query: bool = False, **kwargs: Any) -> None:
        super().__init__(strict=True, **kwargs)
        self._low, self._high, self._in_query = low, high, in_query

    def _validated(self, value: Any) -> int:
        if self._in_query and isinstance(value, str):
            if not _INTEGER.fullmatch(value):
                raise self.make_error("invalid")
            value = int(value)
        if isinstance(value, bool):
            raise self.make_error("invalid")
        number: int = super()._validated(value)
        if not self._low <= number <= self._high:
            raise self.make_error("range", low=self._low, high=self._high)
        return number


#: Line breaks, and what turns the direction of all that follows it: with it a text shows another order
#: than it has (EC-042).
_TURNING = re.compile(r"[\r\n\u202a-\u202e\u2066-\u2069]")


class Text(fields.String):
    """One line of text without control characters; `longest` in characters."""

    default_error_messages = {  # noqa: RUF012
        "invalid": "type|Give a text.",
        "controls": "illegal_character|The text has control characters.",
        "long": "too_long|The text is too long.",
        "empty": "required|The text is empty.",
    }

    def __init__(self, *, longest: int, least: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.longest, self.least = longest, least

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs)
        if len(text) > self.longest:
            raise self.make_error("long")
        if FORBIDDEN_CONTROLS.search(text) or _TURNING.search(text):
            raise self.make_error("controls")
        if len(text.strip()) < self.least:
            raise self.make_error("empty")
        return text.strip()


class Currency(Text):
    """A currency by its three letters; whether it is one that we take is asked elsewhere."""

    default_error_messages = {"long": NO_CURRENCY}  # noqa: RUF012

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(longest=3, **kwargs)


class Word(fields.String):
    """One of an enumeration's words in an answer; the documentation lists them all."""

    def __init__(
        self, words: Iterable[str], *, description: str | None = None, allow_none: bool = False
    ) -> None:
        listed = [str(word) for word in words]
        told: dict[str, Any] = {"enum": [*listed, None] if allow_none else listed}
        if description is not None:
            told["description"] = description
        super().__init__(allow_none=allow_none, metadata=told)


class Secret(fields.String):
    """A password or token, taken exactly as it is."""

    default_error_messages = {"invalid": "type|Give a text."}  # noqa: RUF012

    def __init__(self, *, longest: int, **kwargs: Any) -> None:
        too_long = validate.Length(max=longest, error="too_long|The text is too long.")
        super().__init__(validate=too_long, **kwargs)


class EmailAddress(Secret):
    """An address that mail could be sent to, by its syntax."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        read = read_email(super()._deserialize(value, *args, **kwargs))
        if isinstance(read, CellProblem):
            raise ValidationError(f"{read.code}|{read.detail}")
        return read.address


class Flag(fields.Boolean):
    """JSON true or false; in a form or query the words."""

    default_error_messages = {"invalid": "type|Give true or false."}  # noqa: RUF012

    def __init__(self, *, in_text: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._in_text = in_text

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> Any:
        if isinstance(value, bool):
            return value
        if self._in_text and isinstance(value, str) and value.lower() in {"true", "false"}:
            return value.lower() == "true"
        raise self.make_error("invalid")


class Identity(fields.UUID):
    """The id of a resource."""

    default_error_messages = {"invalid_uuid": "type|Give an id."}  # noqa: RUF012

    def _validated(self, value: Any) -> Any:
        if not isinstance(value, str):
            raise self.make_error("invalid_uuid")
        return super()._validated(value)


class Stamp(fields.DateTime):
    """An RFC 3339 time with its zone."""

    default_error_messages = {  # noqa: RUF012
        "invalid": f"{NO_TIME.code}|{NO_TIME.detail}",
        "zone": f"{NO_ZONE.code}|{NO_ZONE.detail}",
    }

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> datetime:
        read = read_stamp(value) if isinstance(value, str) else NO_TIME
        if isinstance(read, CellProblem):
            raise self.make_error("zone" if read is NO_ZONE else "invalid")
        return read


def in_years(at: datetime) -> None:
    """Validates a `Stamp` that is kept."""
    if at.year not in YEARS:
        raise ValidationError(f"invalid_timestamp|{OUT_OF_YEARS}")


def one_of(*choices: str) -> validate.OneOf:
    return validate.OneOf(choices, error=f"choice|Give one of: {', '.join(choices)}.")


class PageQuery(Schema):
    """`?limit=` and `?cursor=` of every list."""

    limit = Count(
        low=1,
        high=DEFAULTS.page_size_max,
        in_query=True,
        load_default=DEFAULTS.page_size_default,
    )
    cursor = fields.String(load_default=None)


def field_errors(messages: Any) -> tuple[FieldError, ...]:
    """marshmallow's nested messages as a flat list with JSON pointers."""
    found: list[FieldError] = []
    for pointer, message in _flat(messages, ""):
        if len(found) == ERRORS_SHOWN_MAX:
            break
        code, bar, detail = message.partition("|")
        if not bar:
            code, detail = THEIR_MESSAGES.get(message, ("type", message))
        found.append(FieldError(code, detail, pointer=pointer or "/"))
    return tuple(found)


def headline(errors: tuple[FieldError, ...], otherwise: str) -> str:
    """The code of the whole problem."""
    codes = {error.code for error in errors}
    return codes.pop() if len(codes) == 1 and codes <= HEADLINES else otherwise


def _flat(messages: Any, pointer: str) -> Iterator[tuple[str, str]]:
    if isinstance(messages, Mapping):
        for name, inner in messages.items():
            shown = str(name)[:NAME_SHOWN_CHARACTERS].replace("~", "~0").replace("/", "~1")
            yield from _flat(inner, pointer if name == "_schema" else f"{pointer}/{shown}")
    elif isinstance(messages, list | tuple):
        for inner in messages:
            yield from _flat(inner, pointer)
    else:
        yield pointer, str(messages)
