"""The invariants over HTTP: one bounded proof at a time in each process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Response, jsonify
from marshmallow import Schema, fields

from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.access.permissions import Permission
from pipelines.errors import Kind, Refusal
from pipelines.reconciliation.prove import Patience, prove
from web.api.routes import Routes, answers, asks
from web.fields import Identity
from web.front import front
from web.guards import permitted

routes = Routes("invariants", "Whether the books and the stock agree, for the platform.")

#: One statement may use half of the request's time, so that the others have a turn.
STATEMENT_SHARE = 0.5


class ProofBusy(Refusal):
    """This process proves something just now."""

    code = "proof_busy"
    kind = Kind.BUSY
    detail = "The invariants are being checked for somebody else. Ask again in a moment."


class ProofQuery(Schema):
    job_id = Identity(load_default=None)


class Finding(Schema):
    id = fields.String()
    title = fields.String()
    ok = fields.Boolean(allow_none=True)
    complete = fields.Boolean()
    checked = fields.Integer(allow_none=True)
    violations = fields.List(fields.String())


class ProofShown(Schema):
    ok = fields.Boolean(allow_none=True)
    complete = fields.Boolean()
    at = fields.DateTime()
    job_id = fields.UUID(allow_none=True)
    invariants = fields.List(fields.Nested(Finding))
    not_checked = fields.List(fields.String())


_PROVING = threading.BoundedSemaphore(1)


@contextmanager
def proof_slot() -> Iterator[None]:
    """One proof at a time: it reads everything, and the others' requests must stay quick."""
    if not _PROVING.acquire(blocking=False):
        raise ProofBusy(retry_after_seconds=5)
    try:
        yield
    finally:
        _PROVING.release()


@routes.get("/invariants")
@permitted(Permission.INVARIANTS_READ)
@asks(ProofQuery)
@answers(200, ProofShown)
def check_invariants(query: dict[str, Any]) -> Response:
    """Check every invariant, or those of one job; `ok` is null where the time did not suffice."""
    house = front().house
    budget = house.limits.prove_request_seconds
    patience = Patience(statement_seconds=budget * STATEMENT_SHARE, budget_seconds=budget)
    with proof_slot(), scoped_transaction(house.sessions, SYSTEM) as session:
        proof = prove(session, job_id=query["job_id"], patience=patience)
    return jsonify(proof.as_json())
