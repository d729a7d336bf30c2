"""Declare API routes: path, body, answer and their documentation, in typed decorators.

This is the only file that touches flask-smorest, which has no types of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Protocol, TypeVar, cast

import flask_smorest  # type: ignore[import-untyped]
from flask import Flask
from marshmallow import Schema, fields

from web.bodies import StrictParser

View = TypeVar("View", bound=Callable[..., Any])
BASE = "/api/v1"
IDEMPOTENCY_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": True,
    "schema": {"type": "string", "maxLength": 255},
    "description": "Your name for this request: the same name never does the work twice.",
}
MAY_HAVE_KEY = IDEMPOTENCY_KEY | {"required": False}
IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "required": True,
    "schema": {"type": "string"},
    "description": 'The ETag that you read, such as `"3"`: no change is lost beside yours.',
}
CAPTCHA = {
    "in": "header",
    "name": "Captcha-Response",
    # An empty one is none.
    "schema": {"type": "string", "minLength": 1},
    "description": "The widget's answer of the person who asks, after 403 `captcha_required`.",
}
PREFER = {
    "in": "header",
    "name": "Prefer",
    "schema": {"type": "string"},
    "description": "`wait=N` answers with the finished job if it ends within N (at most 30) s.",
}


class CsvFile(Schema):
    """A form with one file."""

    file = fields.Raw(required=True, metadata={"type": "string", "format": "binary"})


#: The body of a route that takes one CSV file: alone, or in a form.
CSV_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "text/csv": {"schema": {"type": "string"}},
        "multipart/form-data": {"schema": CsvFile},
    },
}


class Decorator(Protocol):
    """Takes a view and gives it back, wrapped."""

    def __call__(self, view: View, /) -> View: ...


class _Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    ARGUMENTS_PARSER = StrictParser()
    DEFAULT_LOCATION_CONTENT_TYPE_MAPPING = {  # noqa: RUF012 - flask-smorest's own shape
        **flask_smorest.Blueprint.DEFAULT_LOCATION_CONTENT_TYPE_MAPPING,
        "json_if_any": "application/json",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._prepare_doc_cbks.append(self._with_headers)

    def _with_headers(
        self, doc: dict[str, Any], doc_info: dict[str, Any], **_context: Any
    ) -> dict[str, Any]:
        """Headers stand beside the query's parameters; as members of a view's own they replace them."""
        headers = doc_info.get(HEADERS)
        if headers:
            doc["parameters"] = [*doc.get("parameters", ()), *headers]
        return doc


class _Api(flask_smorest.Api):  # type: ignore[misc]
    """The documentation alone: errors are `web.errors`' business, for every medium."""

    DEFAULT_ERROR_RESPONSE_NAME = None

    def _register_error_handlers(self) -> None:
        pass

    def _register_responses(self) -> None:
        pass


#: Where a view keeps the headers that it reads.
HEADERS = "headers"
_DOC = _Blueprint("documentation", __name__)


class Routes:
    """The routes of one resource."""

    def __init__(self, name: str, description: str) -> None:
        self.blueprint = _Blueprint(name, name, description=description)

    def get(self, path: str) -> Decorator:
        return self._route("GET", path)

    def post(self, path: str) -> Decorator:
        return self._route("POST", path)

    def put(self, path: str) -> Decorator:
        return self._route("PUT", path)

    def patch(self, path: str) -> Decorator:
        return self._route("PATCH", path)

    def delete(self, path: str) -> Decorator:
        return self._route("DELETE", path)

    def _route(self, method: str, path: str) -> Decorator:
        def decorate(view: View) -> View:
            named = _DOC.doc(operationId=view.__name__)(view)
            self.blueprint.add_url_rule(
                path, endpoint=view.__name__, view_func=named, methods=[method]
            )
            return cast("View", named)

        return decorate


def reads(schema: type[Schema]) -> Decorator:
    """Give the view its JSON body, strictly read, as one more argument."""
    return cast("Decorator", _DOC.arguments(_made(schema), location="json"))


def may_read(schema: type[Schema]) -> Decorator:
    """As `reads`, for a body that may be left out altogether."""
    return cast("Decorator", _DOC.arguments(_made(schema), location="json_if_any", required=False))


def asks(schema: type[Schema]) -> Decorator:
    """Give the view its query parameters as one more argument."""
    return cast("Decorator", _DOC.arguments(_made(schema), location="query"))


@cache
def _made(schema: type[Schema]) -> Schema:
    """One of each, made as its route is: made by each request it costs more than what it reads."""
    return schema()


def answers(
    status: int, schema: type[Schema] | Schema | None = None, *, content_type: str | None = None
) -> Decorator:
    """Say what the view answers with; the view itself returns a finished response."""
    return cast("Decorator", _DOC.response(status, schema, content_type=content_type))


def answers_csv() -> Decorator:
    """Say that the view answers with a CSV file."""
    told = {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "A CSV file."}
    return cast("Decorator", _DOC.doc(responses={"200": told}))


def may_answer(status: int, schema: type[Schema]) -> Decorator:
    """Say what else the view may answer with when all is well."""
    return cast("Decorator", _DOC.alt_response(status, schema=schema, success=True))


def documented(*, parameters: Sequence[Mapping[str, Any]] = (), **members: Any) -> Decorator:
    """Add members to the operation's documentation; `parameters` are headers."""

    def decorate(view: View) -> View:
        told: Any = _DOC.doc(**members)(view)
        told._apidoc[HEADERS] = [*told._apidoc.get(HEADERS, ()), *parameters]
        return cast("View", told)

    return decorate


def register(app: Flask, resources: list[Routes], *, base: str = BASE) -> None:
    """Register the resources' routes; what is told of them is `document`'s business."""
    for resource in resources:
        name = resource.blueprint.name
        if base != BASE:
            name = f"{base.rpartition('/')[2]}-{name}"
        app.register_blueprint(resource.blueprint, url_prefix=base, name=name)


def document(resources: list[Routes], *, base: str = BASE) -> dict[str, Any]:
    """The OpenAPI document of the resources: half a second's work, for who asks for it."""
    described = Flask(__name__)
    described.config |= {
        "API_TITLE": "Largesse",
        "API_VERSION": base.rpartition("/v")[2],
        "OPENAPI_VERSION": "3.1.0",
        "API_SPEC_OPTIONS": {
            "info": {"description": "Coupons, discount codes and gift cards, fulfilled."},
            "servers": [{"url": "/"}],
            "security": [{"bearer": []}],
        },
    }
    api = _Api(described)
    for resource in resources:
        api.register_blueprint(resource.blueprint, url_prefix=base)
    api.spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer"})
    return _with_limits(_with_problems(cast("dict[str, Any]", api.spec.to_dict())))


def _with_limits(spec: dict[str, Any]) -> dict[str, Any]:
    """Every operation is counted, by its own policy or by `api`; a test holds the routes to it."""
    components = spec["components"]
    components["headers"] = RATE_HEADERS
    told = {name: {"$ref": f"#/components/headers/{name}"} for name in RATE_HEADERS}
    components["responses"]["TooManyRequests"] = components["responses"]["Problem"] | {
        "description": "Asked too often: wait as long as `Retry-After` says.",
        "headers": told,
    }
    standing = {name: told[name] for name in ("RateLimit", "RateLimit-Policy")}
    for path in spec["paths"].values():
        for operation in path.values():
            if not isinstance(operation, dict) or "responses" not in operation:
                continue
            for status, response in operation["responses"].items():
                if str(status).startswith("2"):
                    response.setdefault("headers", {}).update(standing)
            operation["responses"]["429"] = {"$ref": "#/components/responses/TooManyRequests"}
    return spec


def _with_problems(spec: dict[str, Any]) -> dict[str, Any]:
    """Every operation may answer with a problem; say so once and refer to it."""
    components = spec.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = PROBLEM
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    components.setdefault("responses", {})["Problem"] = {
        "description": "A refusal or a fault; `code` is stable.",
        "content": content,
    }
    for path in spec["paths"].values():
        for operation in path.values():
            if isinstance(operation, dict) and "responses" in operation:
                operation["responses"].pop("422", None)
                operation["responses"]["default"] = {"$ref": "#/components/responses/Problem"}
    return spec


RATE_HEADERS: dict[str, Any] = {
    "Retry-After": {
        "description": "Seconds after which a request will be taken again.",
        "schema": {"type": "integer"},
    },
    "RateLimit-Policy": {
        "description": "The limits that counted this request: quota `q` in `w` seconds.",
        "schema": {"type": "string"},
        "example": '"login";q=5;w=60, "login-ip";q=20;w=60',
    },
    "RateLimit": {
        "description": "What is left of each, `r`, and in how many seconds there is more, `t`.",
        "schema": {"type": "string"},
        "example": '"login";r=4;t=60, "login-ip";r=19;t=60',
    },
}
PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail", "instance", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["code", "detail"],
                "properties": {
                    "pointer": {"type": "string"},
                    "row": {
                        "type": "integer",
                        "description": "The row of the file, counted without its header.",
                    },
                    "field": {"type": ["string", "null"]},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}
