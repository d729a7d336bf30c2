"""Acts that wait for a second person, over HTTP (SEC-31)."""

from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, fields
from sqlalchemy import Row

from models import clock
from models.approvals import ApprovalState
from models.database import scoped_transaction
from pipelines.access.permissions import Permission
from pipelines.approvals import approvals
from pipelines.approvals.people import check_people
from web.api.routes import Routes, answers, asks, reads
from web.fields import Flag, PageQuery, Text, Word
from web.front import front
from web.guards import freshly_proven, permitted, principal
from web.pages import id_cursor, listed

routes = Routes("approvals", "Acts that wait for a second person.")


class Approval(Schema):
    id = fields.UUID()
    kind = fields.String()
    state = Word([*ApprovalState, "expired"], description="`expired`: nobody decided in time.")
    detail = fields.Dict(keys=fields.String())
    requested_by = fields.UUID()
    decided_by = fields.UUID(allow_none=True)
    decided_at = fields.DateTime(allow_none=True)
    reason = fields.String(allow_none=True)
    result_id = fields.UUID(allow_none=True)
    expires_at = fields.DateTime()
    created_at = fields.DateTime()


class ApprovalPage(Schema):
    data = fields.List(fields.Nested(Approval))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


class ApprovalQuery(PageQuery):
    pending = Flag(in_text=True, load_default=False)


class RejectionBody(Schema):
    reason = Text(longest=200, required=True)


def view(row: Row[Any], now: Any) -> dict[str, Any]:
    facts = dict(row._mapping)
    del facts["agency_id"], facts["client_id"]
    return facts | {"state": approvals.shown_state(row, now=now)}


@routes.get("/approvals")
@permitted(Permission.APPROVALS_READ)
@asks(ApprovalQuery)
@answers(200, ApprovalPage)
def list_approvals(query: dict[str, Any]) -> Response:
    """What waits for a second person, and what became of it; newest first."""
    limit = query["limit"]
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        now = clock.now(session)
        rows = approvals.list_approvals(
            session,
            only_pending=query["pending"],
            before=id_cursor(query),
            limit=limit + 1,
            now=now,
        )
    return listed(rows, limit=limit, view=lambda row: view(row, now), place=lambda row: row.id)


@routes.get("/approvals/<uuid:approval_id>")
@permitted(Permission.APPROVALS_READ)
@answers(200, Approval)
def get_approval(approval_id: UUID) -> Response:
    """One of them."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        row = approvals.approval_row(session, approval_id)
        return jsonify(view(row, clock.now(session)))


@routes.post("/approvals/<uuid:approval_id>/approve")
@permitted(Permission.APPROVALS_DECIDE)
@answers(200, Approval)
def approve(approval_id: UUID) -> Response:
    """Agree: the act happens at once, or is refused as it would have been and goes on waiting."""
    caller, sessions = freshly_proven(), front().house.sessions
    with scoped_transaction(sessions, caller.scope) as session:
        approvals.approval_row(session, approval_id)
    check_people(sessions, approval_id, caller, front().house.approval_kinds)
    with scoped_transaction(sessions, caller.scope) as session:
        now = clock.now(session)
        approvals.approve(session, approval_id, caller, kinds=front().house.approval_kinds, now=now)
        return jsonify(view(approvals.approval_row(session, approval_id), now))


@routes.post("/approvals/<uuid:approval_id>/reject")
@permitted(Permission.APPROVALS_DECIDE)
@reads(RejectionBody)
@answers(200, Approval)
def reject(body: dict[str, Any], approval_id: UUID) -> Response:
    """Disagree, and say why."""
    caller = principal()
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        now = clock.now(session)
        approvals.reject(
            session,
            approval_id,
            caller,
            reason=body["reason"],
            kinds=front().house.approval_kinds,
            now=now,
        )
        return jsonify(view(approvals.approval_row(session, approval_id), now))
