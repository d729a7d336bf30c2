"""Make a Postman collection of the API's OpenAPI document; pure (S1-134).

A folder for each resource, a request for each operation, with an example of its body. The address
and the token are variables of the collection, and nothing in it is anybody's.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
METHODS = ("get", "post", "put", "patch", "delete")
_DEEPEST = 8
_PLACE = re.compile(r"\{(\w+)\}")
_EXAMPLES = {
    "uuid": "00000000-0000-0000-0000-000000000000",
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "email": "ada@example.com",
    "uri": "https://example.com",
    "url": "https://example.com",
}
_BY_TYPE: Mapping[str, Any] = {"integer": 1, "number": 1, "boolean": False, "string": "text"}

Json = dict[str, Any]


def collection(document: Json, *, base_url: str) -> Json:
    """The collection of the whole document, its folders in the document's order."""
    folders = {tag["name"]: _folder(tag) for tag in document["tags"]}
    for path, method, operation, given in _operations(document):
        folders[operation["tags"][0]]["item"].append(
            _request(document, path, method, operation, given)
        )
    info = document["info"]
    return {
        "info": {
            "name": f"{info['title']} API v{info['version']}",
            "description": info.get("description", ""),
            "schema": SCHEMA,
        },
        "auth": {
            "type": "bearer",
            "bearer": [{"key": "token", "value": "{{token}}", "type": "string"}],
        },
        "variable": [
            {"key": "base_url", "value": base_url.rstrip("/")},
            {"key": "token", "value": ""},
        ],
        "item": [folder for folder in folders.values() if folder["item"]],
    }


def _operations(document: Json) -> Iterator[tuple[str, str, Json, list[Json]]]:
    """Path, method, operation, and the parameters of both path and operation."""
    for path, operations in document["paths"].items():
        shared = operations.get("parameters", [])
        for method in METHODS:
            if operation := operations.get(method):
                yield path, method, operation, [*shared, *operation.get("parameters", [])]


def _folder(tag: Json) -> Json:
    return {"name": tag["name"], "description": tag.get("description", ""), "item": []}


def _request(document: Json, path: str, method: str, operation: Json, given: list[Json]) -> Json:
    parameters = [_resolved(document, parameter) for parameter in given]
    headers = [_header(each) for each in parameters if each["in"] == "header"]
    request: Json = {
        "method": method.upper(),
        "description": operation.get("description") or operation.get("summary", ""),
        "header": headers,
        "url": _url(document, path, parameters),
    }
    if operation.get("security") == []:
        request["auth"] = {"type": "noauth"}
    if content := operation.get("requestBody", {}).get("content"):
        kind, body = _body(document, content)
        request["body"] = body
        # Postman itself writes the header of a form, with the boundary of its parts.
        if kind != "multipart/form-data":
            headers.append({"key": "Content-Type", "value": kind})
    return {"name": operation["operationId"], "request": request, "response": []}


def _header(parameter: Json) -> Json:
    value = "{{$guid}}" if parameter["name"] == "Idempotency-Key" else ""
    return {
        "key": parameter["name"],
        "value": value,
        "description": parameter.get("description", ""),
        "disabled": not parameter.get("required", False),
    }


def _url(document: Json, path: str, parameters: list[Json]) -> Json:
    written = _PLACE.sub(r":\1", path)
    return {
        "raw": "{{base_url}}" + written,
        "host": ["{{base_url}}"],
        "path": written.strip("/").split("/"),
        "variable": [
            {"key": each["name"], "value": str(example(document, each.get("schema", {})))}
            for each in parameters
            if each["in"] == "path"
        ],
        "query": [
            {
                "key": each["name"],
                "value": str(example(document, each.get("schema", {}))),
                "description": each.get("description", ""),
                "disabled": not each.get("required", False),
            }
            for each in parameters
            if each["in"] == "query"
        ],
    }


def _body(document: Json, content: Json) -> tuple[str, Json]:
    """The first that can be filled in by hand: JSON, a form, then plain text."""
    for kind in ("application/json", "multipart/form-data", "application/x-www-form-urlencoded"):
        if kind not in content:
            continue
        schema = _resolved(document, content[kind].get("schema", {}))
        if kind == "application/json":
            text = json.dumps(example(document, schema), indent=2, ensure_ascii=False)
            return kind, {"mode": "raw", "raw": text, "options": {"raw": {"language": "json"}}}
        mode = "formdata" if kind.startswith("multipart") else "urlencoded"
        return kind, {"mode": mode, mode: _form(document, schema)}
    return next(iter(content)), {"mode": "raw", "raw": ""}


def _form(document: Json, schema: Json) -> list[Json]:
    rows = []
    for name, member in schema.get("properties", {}).items():
        row: Json = {"key": name, "disabled": name not in schema.get("required", ())}
        if _resolved(document, member).get("format") == "binary":
            row |= {"type": "file", "src": []}
        else:
            row |= {"type": "text", "value": str(example(document, member))}
        rows.append(row)
    return rows


def example(document: Json, schema: Json, depth: int = 0) -> Any:
    """A value of the schema's shape; what may be left out is left out of objects that need others."""
    schema = _resolved(document, schema)
    for told in ("example", "default", "const"):
        if told in schema:
            return schema[told]
    if schema.get("enum"):
        return schema["enum"][0]
    for choices in ("allOf", "oneOf", "anyOf"):
        if schema.get(choices):
            return example(document, schema[choices][0], depth)
    return _of_type(document, schema, depth)


def _of_type(document: Json, schema: Json, depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = next(each for each in kind if each != "null")
    if kind == "array":
        return [] if depth > _DEEPEST else [example(document, schema.get("items", {}), depth + 1)]
    if kind == "object":
        return {} if depth > _DEEPEST else _members(document, schema, depth)
    if kind == "string" and schema.get("format") in _EXAMPLES:
        return _EXAMPLES[schema["format"]]
    return schema.get("minimum") or _BY_TYPE.get(kind)


def _members(document: Json, schema: Json, depth: int) -> Json:
    needed = schema.get("required") or schema.get("properties", {})
    return {
        name: example(document, member, depth + 1)
        for name, member in schema.get("properties", {}).items()
        if name in needed and not member.get("readOnly")
    }


def _resolved(document: Json, schema: Json) -> Json:
    """What a reference inside the document stands for."""
    while "$ref" in schema:
        found: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        schema = found
    return schema
