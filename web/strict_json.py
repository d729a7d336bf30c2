"""Read a JSON body strictly: one object, one meaning, nothing that dies further in."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from typing import NoReturn

from pipelines.errors import FieldError, Kind, Refusal, ValidationFailed
from pipelines.limits import DEFAULTS, Limits

#: A whole string (or what is left of an unfinished one) or one bracket. Possessive: it never
#: goes back, so that no body takes longer than its length.
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
_UNSTORABLE = re.compile("[\ud800-\udfff\0]")
#: `1e400` is short and too large for everything behind this door.
EXPONENT_MAX = 20
KEY_SHOWN_CHARACTERS = 64
ERRORS_SHOWN_MAX = 100

DETAILS = {
    "empty_body": "The body is empty; send a JSON object.",
    "not_utf8": "The body is not UTF-8.",
    "too_deep": "The body is nested too deeply.",
    "syntax": "The body is not valid JSON.",
    "object_expected": "The body must be a JSON object.",
    "non_finite_number": "NaN and Infinity are not JSON.",
    "number_too_long": "A number in the body has too many digits.",
    "duplicate_key": "An object in the body has the same key twice.",
}


class MalformedJson(Refusal):
    """The body is not one strict JSON object; `reason` says why."""

    code = "malformed_json"
    kind = Kind.MALFORMED

    def __init__(self, reason: str) -> None:
        super().__init__(DETAILS[reason], extra={"reason": reason})


class BodyTooLarge(Refusal):
    """The body is larger than a JSON body may be; larger input goes through a CSV upload."""

    code = "payload_too_large"
    kind = Kind.TOO_LARGE


def parse_json_object(raw: bytes, *, limits: Limits = DEFAULTS) -> dict[str, object]:
    """The object in `raw`, fractions as Decimal; everything else is refused."""
    if len(raw) > limits.json_body_bytes_max:
        raise BodyTooLarge(f"A JSON body may have {limits.json_body_bytes_max} bytes.")
    text = _decoded(raw)
    if _is_deeper(raw, limits.json_depth_max):
        raise MalformedJson("too_deep")
    body = _loaded(text, digits_max=limits.json_number_digits_max)
    if not isinstance(body, dict):
        raise MalformedJson("object_expected")
    #: Raw NULs and surrogates did not get past the decoder; only escapes can make them.
    if "\\u" in text and (errors := tuple(islice(_unstorable(body, ""), ERRORS_SHOWN_MAX))):
        raise ValidationFailed(errors=errors)
    return body


def _decoded(raw: bytes) -> str:
    #: UTF-16 and UTF-32 without a mark decode as UTF-8 with a NUL beside each letter.
    if b"\0" in raw[:4]:
        raise MalformedJson("not_utf8")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise MalformedJson("not_utf8") from None
    if not text.strip(" \t\r\n"):
        raise MalformedJson("empty_body")
    return text


def _is_deeper(raw: bytes, most: int) -> bool:
    """Whether it nests deeper than `most`: told at the first bracket that does.

    Before the parser recurses; brackets in strings do not count.
    """
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(raw):
        token = match[0]
        if token in {b"[", b"{"}:
            depth += 1
            if depth > most:
                return True
        elif token in {b"]", b"}"}:
            depth -= 1
    return False


def _loaded(text: str, *, digits_max: int) -> object:
    def integer(digits: str) -> int:
        if len(digits.lstrip("-")) > digits_max:
            raise MalformedJson("number_too_long")
        return int(digits)

    def fraction(number: str) -> Decimal:
        digits, _e, exponent = number.lower().partition("e")
        if len(digits.lstrip("-").replace(".", "")) > digits_max or len(exponent) > digits_max:
            raise MalformedJson("number_too_long")
        if exponent and abs(int(exponent)) > EXPONENT_MAX:
            raise MalformedJson("number_too_long")
        return Decimal(number)

    try:
        return json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_int=integer,
            parse_float=fraction,
            object_pairs_hook=_without_duplicates,
        )
    except (ValueError, RecursionError):
        raise MalformedJson("syntax") from None


def _refuse_constant(_name: str) -> NoReturn:
    raise MalformedJson("non_finite_number")


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedJson("duplicate_key")
    return members


def _unstorable(value: object, pointer: str) -> Iterator[FieldError]:
    """Every string or key with a NUL or a lone surrogate: no database or mail takes them."""
    match value:
        case str() if _UNSTORABLE.search(value):
            detail = "The text has a character that cannot be stored."
            yield FieldError("illegal_character", detail, pointer=pointer)
        case dict():
            for key, member in value.items():
                place = f"{pointer}/{_shown(key)}"
                if _UNSTORABLE.search(key):
                    detail = "The key has a character that cannot be stored."
                    yield FieldError("illegal_character", detail, pointer=place)
                yield from _unstorable(member, place)
        case list():
            for index, member in enumerate(value):
                yield from _unstorable(member, f"{pointer}/{index}")


def _shown(key: str) -> str:
    """A key as part of a JSON pointer, cut and printable."""
    key = _UNSTORABLE.sub("\ufffd", key[:KEY_SHOWN_CHARACTERS])
    return key.replace("~", "~0").replace("/", "~1")
