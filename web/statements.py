"""Statements of credit accounts for both doors: their frame, and their file."""

from datetime import datetime
from typing import Any
from uuid import UUID

from flask import Response
from sqlalchemy.orm import Session

from models import clock
from models.database import scoped_transaction
from pipelines.credit.statement import Statement, statement, statement_csv
from pipelines.errors import FieldError, ValidationFailed
from web.front import front
from web.guards import principal


def statement_file(account_id: UUID, query: dict[str, Any]) -> Response:
    """The CSV answer of a statement, for the API and the console."""
    house, scope = front().house, principal().scope
    with scoped_transaction(house.sessions, scope) as session:
        frame = framed(session, account_id, query)
    response = Response(statement_csv(house.sessions, scope, frame), mimetype="text/csv")
    name = f"statement-{account_id}.csv"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


def framed(session: Session, account_id: UUID, query: dict[str, Any]) -> Statement:
    """Raises `ValidationFailed` for a time that ends before it begins, and `NotFound`."""
    since: datetime | None = query["since"]
    until: datetime = query["until"] or clock.now(session)
    if since is not None and since >= until:
        detail = "Give a `from` that is before `to`."
        raise ValidationFailed(errors=(FieldError("out_of_range", detail, pointer="/from"),))
    return statement(session, account_id, since=since, until=until)
