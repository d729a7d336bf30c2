"""Codes that a caller brings, as a CSV or as a list in JSON: one file to whoever takes them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from flask import request
from marshmallow import Schema, fields, validate

from pipelines.jobs.imports import CodesFile
from pipelines.jobs.kinds import OnError
from web.admission import canonical, intake_slot
from web.api.routes import CSV_BODY
from web.bodies import loaded, with_form
from web.fields import one_of
from web.front import front
from web.uploads import csv_upload


class CodesQuery(Schema):
    on_error = fields.String(
        load_default=OnError.ABORT.value,
        validate=one_of(*OnError),
        metadata={
            "description": "Of a file, here or as a part of its form; a JSON body says it itself."
        },
    )


class ListedCodes(Schema):
    """The base of a body with a list of `codes`."""

    on_error = fields.String(load_default=OnError.ABORT.value, validate=one_of(*OnError))


def code_list(one: fields.Field[Any], *, most: int) -> fields.List[Any]:
    """The field `codes` of such a body."""
    error = f"out_of_range|Give 1 to {most} codes; more come as text/csv."
    return fields.List(one, required=True, validate=validate.Length(min=1, max=most, error=error))


def csv_or(body: type[Schema]) -> dict[str, Any]:
    """The documented body of a route that takes either."""
    return CSV_BODY | {"content": CSV_BODY["content"] | {"application/json": {"schema": body}}}


@dataclass(frozen=True, slots=True)
class CodesGiven:
    """The file, bytes that are the same for the same codes, and what the request says besides."""

    file: CodesFile
    mark: bytes
    is_list: bool
    query: dict[str, Any]


@contextmanager
def codes_given(
    body: ListedCodes,
    listed: Callable[[Sequence[Any], OnError], CodesFile],
    query: dict[str, Any],
    parts: CodesQuery,
) -> Iterator[CodesGiven]:
    """The request's codes; a list is made the file that it could have been by `listed`.

    Parts of a form say the same as the address, by `parts` (see `with_form`).
    """
    if request.mimetype == "application/json":
        given = loaded(body, request.get_json())
        file = listed(given["codes"], OnError(given["on_error"]))
        yield CodesGiven(file, canonical(given), is_list=True, query=query)
        return
    bytes_max = front().house.limits.upload_bytes_max
    with intake_slot(), csv_upload(bytes_max=bytes_max) as upload:
        query = with_form(query, parts)
        file = CodesFile(upload.stream, OnError(query["on_error"]), upload.name)
        yield CodesGiven(file, upload.sha256, is_list=False, query=query)
