"""The audit log over HTTP: who did what to what, and whether that is sealed."""

from datetime import datetime, timedelta
from typing import Any

from flask import Response, jsonify
from marshmallow import Schema, fields

from models import clock
from models.database import scoped_transaction
from pipelines.access.permissions import Permission
from pipelines.audit.read import EntryFilter, summarise
from pipelines.errors import FieldError, ValidationFailed
from web.api.routes import Routes, answers, answers_csv, asks
from web.audit_seen import export_csv, look_at_entries, look_up_names
from web.fields import Identity, PageQuery, Stamp, Text
from web.front import front
from web.guards import permitted, principal
from web.pages import id_cursor, listed

routes = Routes("audit", "Who did what to what, numbered and chained so that nobody changes it.")

SUMMARY_DAYS = 30
SUMMARY_DAYS_MAX = 366


class Period(Schema):
    since = Stamp(data_key="from", load_default=None)
    until = Stamp(data_key="to", load_default=None)


class Wanted(Period):
    object_id = Identity(load_default=None)
    object_kind = Text(longest=64, load_default=None)
    actor_id = Identity(load_default=None)
    action = Text(longest=64, load_default=None)


class AuditQuery(PageQuery, Wanted):
    """The filter of the list, and its page."""


class AuditActor(Schema):
    id = fields.UUID(allow_none=True)
    name = fields.String(
        allow_none=True,
        metadata={"description": "`Platform` or `Agency` for people above you."},
    )
    role = fields.String(allow_none=True)


class AuditObject(Schema):
    kind = fields.String()
    id = fields.UUID(allow_none=True)


class AuditEntryShown(Schema):
    id = fields.UUID()
    at = fields.DateTime()
    sequence = fields.Integer(
        allow_none=True,
        metadata={"description": "The place in its tenant's chain, given within seconds."},
    )
    sealed = fields.Boolean()
    action = fields.String()
    actor = fields.Nested(AuditActor, allow_none=True)
    on_behalf_of = fields.UUID(allow_none=True)
    object = fields.Nested(AuditObject)
    detail = fields.Dict(
        metadata={"description": "What was changed stands as `[before, after]`."},
    )
    request_id = fields.String(allow_none=True)
    job_id = fields.UUID(allow_none=True)
    address = fields.String(
        allow_none=True,
        metadata={"description": "The network a request came from; the platform alone sees it."},
    )


class AuditEntryPage(Schema):
    data = fields.List(fields.Nested(AuditEntryShown))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


class ActionCount(Schema):
    action = fields.String()
    times = fields.Integer()


class ActorCount(Schema):
    name = fields.String(allow_none=True)
    times = fields.Integer()
    last_at = fields.DateTime()


class AuditSummary(Schema):
    since = fields.DateTime(data_key="from")
    until = fields.DateTime(data_key="to")
    total = fields.Integer()
    actions = fields.List(fields.Nested(ActionCount))
    actors = fields.List(fields.Nested(ActorCount))


@routes.get("/audit")
@permitted(Permission.AUDIT_READ)
@asks(AuditQuery)
@answers(200, AuditEntryPage)
def list_audit(query: dict[str, Any]) -> Response:
    """Your tenant's audit log and that of those below, newest first."""
    caller, limit, before = principal(), query["limit"], id_cursor(query)
    sessions = front().house.sessions
    seen = look_at_entries(sessions, caller, _filter(query), before=before, limit=limit + 1)
    return listed(
        seen.rows,
        limit=limit,
        view=lambda row: seen.shown(row, caller),
        place=lambda row: row.id,
    )


@routes.get("/audit.csv")
@permitted(Permission.AUDIT_READ)
@asks(Wanted)
@answers_csv()
def export_audit(query: dict[str, Any]) -> Response:
    """The same as a file; taking it is in the log too."""
    blocks = export_csv(front().house.sessions, principal(), _filter(query))
    response = Response(blocks, mimetype="text/csv")
    response.headers.set("Content-Disposition", "attachment", filename="audit.csv")
    return response


@routes.get("/audit/summary")
@permitted(Permission.AUDIT_READ)
@asks(Period)
@answers(200, AuditSummary)
def summarise_audit(query: dict[str, Any]) -> Response:
    """How often what was done in a time, and by whom: the last 30 days if none is given."""
    caller, sessions = principal(), front().house.sessions
    with scoped_transaction(sessions, caller.scope) as session:
        since, until = _period(query, clock.now(session))
        found = summarise(session, since=since, until=until)
    names = look_up_names(sessions, caller, (row.actor_id for row in found.actors))
    return jsonify(
        {
            "from": since,
            "to": until,
            "total": found.total,
            "actions": [{"action": row.action, "times": row.times} for row in found.actions],
            "actors": [
                {
                    "name": "system" if row.actor_id is None else names.get(row.actor_id),
                    "times": row.times,
                    "last_at": row.last_at,
                }
                for row in found.actors
            ],
        }
    )


def _filter(query: dict[str, Any]) -> EntryFilter:
    names = ("object_id", "object_kind", "actor_id", "action", "since", "until")
    return EntryFilter(**{name: query[name] for name in names})


def _period(query: dict[str, Any], now: datetime) -> tuple[datetime, datetime]:
    """Raises `ValidationFailed` for a time that ends before it begins, or is too long to count."""
    until = query["until"] or now
    since = query["since"] or until - timedelta(days=SUMMARY_DAYS)
    if not timedelta() < until - since <= timedelta(days=SUMMARY_DAYS_MAX):
        detail = f"Give a time of at most {SUMMARY_DAYS_MAX} days, its end after its beginning."
        raise ValidationFailed(errors=(FieldError("out_of_range", detail, pointer="/from"),))
    return since, until
