"""Read bodies strictly and write JSON plainly; no route can go around it."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, NoReturn, cast
from uuid import UUID

import marshmallow
from flask import Flask, Request, request
from flask.json.provider import DefaultJSONProvider
from webargs.flaskparser import FlaskParser

from pipelines.errors import Kind, Refusal, ValidationFailed
from pipelines.limits import DEFAULTS
from web.fields import field_errors, headline
from web.strict_json import parse_json_object


class NotJson(Refusal):
    """The body is not declared as JSON."""

    code = "unsupported_media_type"
    kind = Kind.MEDIA
    detail = "Send the body as JSON with Content-Type: application/json."


class EncodedBody(Refusal):
    """The body is compressed; bodies are never unpacked."""

    code = "unsupported_content_encoding"
    kind = Kind.MEDIA
    detail = "Send the body without Content-Encoding."


class InvalidBody(ValidationFailed):
    """A body with errors; where all errors have one telling code, the problem has it too."""

    def __init__(self, messages: Any) -> None:
        errors = field_errors(messages)
        self.code = headline(errors, self.code)  # type: ignore[misc]
        super().__init__(errors=errors)


def loaded(schema: marshmallow.Schema, given: Any) -> dict[str, Any]:
    """A body that the route reads itself, because it may be of several kinds; strict like any."""
    try:
        return cast("dict[str, Any]", schema.load(given, unknown=marshmallow.RAISE))
    except marshmallow.ValidationError as error:
        raise InvalidBody(error.messages) from None


def with_form(query: Mapping[str, Any], schema: marshmallow.Schema) -> dict[str, Any]:
    """What the address says, and over it what the parts of a form beside its file say.

    `schema` is that of the address, made with `partial`. A part that it has not is refused.
    """
    parts = {name or "": text for name, text in request.form.items() if text}
    return {**query, **loaded(schema, parts)}


class StrictRequest(Request):
    """A request whose JSON is one strict object, read once."""

    _strict: dict[str, object] | None = None

    def get_json(self, *_args: Any, **_kwargs: Any) -> Any:
        if self._strict is None:
            if self.mimetype != "application/json":
                raise NotJson
            self._strict = parse_json_object(self.get_data(cache=False))
        return self._strict


class StrictParser(FlaskParser):
    """webargs on strict bodies: unknown members and parameters are errors, errors are our refusals."""

    DEFAULT_UNKNOWN_BY_LOCATION = {  # noqa: RUF012 - webargs' own shape
        "json": marshmallow.RAISE,
        "json_if_any": marshmallow.RAISE,
        "form": marshmallow.RAISE,
        "query": marshmallow.RAISE,
        "query_and_form": marshmallow.EXCLUDE,
    }

    def load_json(self, req: Request, schema: marshmallow.Schema) -> Any:
        return req.get_json()

    def load_json_if_any(self, req: Request, schema: marshmallow.Schema) -> Any:
        has_body = req.content_length or req.headers.get("Transfer-Encoding")
        return req.get_json() if has_body else {}

    def handle_error(
        self, error: marshmallow.ValidationError, *_args: Any, **_kwargs: Any
    ) -> NoReturn:
        messages = error.messages
        if isinstance(messages, dict) and len(messages) == 1:
            ((_location, messages),) = messages.items()
        raise InvalidBody(messages)

    __location_map__ = {  # noqa: RUF012 - webargs' own shape
        **FlaskParser.__location_map__,
        "json_if_any": "load_json_if_any",
    }


class HouseJson(DefaultJSONProvider):
    """Times in RFC 3339 UTC, ids as text, keys in the order they were written."""

    sort_keys = False
    compact = True

    @staticmethod
    def default(value: Any) -> Any:
        if isinstance(value, datetime):
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        if isinstance(value, date):
            return value.isoformat()
        if isinstance(value, UUID):
            return str(value)
        raise TypeError(f"{type(value).__name__} does not go into JSON")


def register_bodies(app: Flask) -> None:
    """Make the strict reader and the plain writer the app's only ones."""
    app.request_class = StrictRequest
    app.json = HouseJson(app)
    # One byte more than allowed: a chunked body is cut there without a word, and then refused.
    app.config["MAX_CONTENT_LENGTH"] = DEFAULTS.json_body_bytes_max + 1
    app.before_request(_refuse_encoded)


def _refuse_encoded() -> None:
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise EncodedBody
