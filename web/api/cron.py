"""Standing checks for outside schedulers, with the cron secret; the house's own needs none."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask import Response, jsonify
from marshmallow import Schema, fields
from sqlalchemy.orm import Session

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM, tenant_scope
from pipelines.checkout.end import release_expired
from pipelines.monitoring.integrity import check_integrity
from pipelines.monitoring.runs import note_run
from pipelines.reconciliation.prove import Patience
from pipelines.referrals.issue import issue_rewards
from web.api.alerts import AlertSubject
from web.api.invariants import STATEMENT_SHARE, ProofShown, proof_slot
from web.api.routes import Routes, answers
from web.cron_secret import has_cron_secret
from web.front import front
from web.guards import Unauthenticated, public
from web.look_now import look_now

#: What one request may spend on passes of a duty.
PASSES_SECONDS = 5.0
routes = Routes("cron", "Standing checks, for schedulers outside that have the cron secret.")


class Breakdown(Schema):
    csv_pools = fields.Integer()
    campaigns = fields.Integer()
    agencies = fields.Integer()
    clients = fields.Integer()
    provisioning_failures = fields.Integer()
    engine = fields.Integer()


class Found(Schema):
    kind = fields.String()
    severity = fields.String()
    level = fields.Integer()
    subject = fields.Nested(AlertSubject)
    agency_id = fields.UUID(allow_none=True)
    client_id = fields.UUID(allow_none=True)
    sentence = fields.String()
    detail = fields.Dict(keys=fields.String())


class Looked(Schema):
    success = fields.Boolean()
    at = fields.DateTime()
    duration_ms = fields.Integer()
    alerts_generated = fields.Integer(
        metadata={"description": "What is wrong now, new or not: the sum of `breakdown`."}
    )
    breakdown = fields.Nested(Breakdown)
    alerts = fields.List(fields.Nested(Found))


class Checked(ProofShown):
    success = fields.Boolean(metadata={"description": "Whether it was checked; see `ok`."})
    duration_ms = fields.Integer()


class Released(Schema):
    success = fields.Boolean()
    released = fields.Integer()
    more = fields.Boolean()
    duration_ms = fields.Integer()


class Issued(Schema):
    success = fields.Boolean()
    issued = fields.Integer()
    more = fields.Boolean()
    duration_ms = fields.Integer()


@routes.post("/cron/monitor")
@public
@answers(200, Looked)
def run_monitor() -> Response:
    """Look over pools, campaigns, credit, failures and the engine; what is wrong becomes alerts."""
    _require_secret()
    return jsonify(look_now().as_json())


@routes.post("/cron/release-expired")
@public
@answers(200, Released)
def run_release_expired() -> Response:
    """Give back the slots of discount codes that nobody paid in time, as the house does by itself.

    `more` says that a request's time did not suffice for all of them.
    """

    def one_pass(session: Session, now: datetime) -> tuple[int, bool]:
        found = release_expired(session, now)
        return found.released, found.is_full

    return _in_passes("released", one_pass)


@routes.post("/cron/issue-rewards")
@public
@answers(200, Issued)
def run_issue_rewards() -> Response:
    """Give referrers what is due, as the house does by itself.

    `more` says that a request's time did not suffice for all of it.
    """

    def one_pass(session: Session, now: datetime) -> tuple[int, bool]:
        found = issue_rewards(session, now)
        return found.issued, found.is_full

    return _in_passes("issued", one_pass)


@routes.post("/cron/integrity-check")
@public
@answers(200, Checked)
def run_integrity_check() -> Response:
    """Prove the invariants within a request's time; `ok` is null where that did not suffice."""
    _require_secret()
    house = front().house
    budget = house.limits.prove_request_seconds
    patience = Patience(statement_seconds=budget * STATEMENT_SHARE, budget_seconds=budget)
    with proof_slot(), tenant_scope(SYSTEM):
        proof, run = check_integrity(house.sessions, patience=patience)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        note_run(session, run)
    answer: dict[str, Any] = {"success": True, "duration_ms": run.duration_ms}
    return jsonify(answer | proof.as_json())


def _in_passes(done: str, one_pass: Callable[[Session, datetime], tuple[int, bool]]) -> Response:
    """Passes of a duty, each in a transaction of its own, as far as a request's time suffices."""
    _require_secret()
    began, count, has_more = time.monotonic(), 0, True
    while has_more and time.monotonic() - began < PASSES_SECONDS:
        with scoped_transaction(front().house.sessions, SYSTEM) as session:
            found, has_more = one_pass(session, clock.now(session))
        count += found
    took = round((time.monotonic() - began) * 1000)
    return jsonify({"success": True, done: count, "more": has_more, "duration_ms": took})


def _require_secret() -> None:
    """Raises `Unauthenticated`, whatever else the request carries."""
    if not has_cron_secret():
        raise Unauthenticated
