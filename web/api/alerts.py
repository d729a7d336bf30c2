"""Alerts over HTTP: what is wrong, and what somebody did about it (S4-011, S4-041)."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, fields, validate
from sqlalchemy.orm import Session

from models import clock
from models.alerts import Severity
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.access.permissions import Permission
from pipelines.access.principals import Principal
from pipelines.alerts import handle, read
from pipelines.alerts.fold import Happened, News
from pipelines.alerts.kinds import ALL
from pipelines.alerts.read import ShownState
from pipelines.alerts.subscriptions import CHOICES, Chosen, Reader, choose_notices, own_notices
from pipelines.monitoring.notify import default_of, tell
from pipelines.queue.keys import once
from pipelines.tenants.clients import client
from pipelines.webhooks.alerts import resolve_and_tell
from web.admission import canonical, mark_replay, offered_key
from web.api.routes import MAY_HAVE_KEY, Routes, answers, asks, documented, may_read, reads
from web.fields import Identity, PageQuery, Stamp, Text, one_of
from web.front import front
from web.guards import permitted, principal
from web.pages import id_cursor, listed

routes = Routes("alerts", "What is wrong, and what somebody did about it.")


class AlertsQuery(PageQuery):
    state = fields.String(load_default=None, validate=one_of(*ShownState))
    severity = fields.String(load_default=None, validate=one_of(*Severity))
    kind = fields.String(load_default=None, validate=one_of(*sorted(ALL)))


class AlertBody(Schema):
    severity = fields.String(load_default=Severity.WARNING.value, validate=one_of(*Severity))
    note = Text(longest=handle.NOTE_CHARACTERS_MAX, required=True)
    client_id = Identity(load_default=None, allow_none=True)


class NoteBody(Schema):
    note = Text(longest=handle.NOTE_CHARACTERS_MAX, load_default=None, allow_none=True)


class SnoozeBody(NoteBody):
    until = Stamp(required=True)


class AlertSubject(Schema):
    kind = fields.String(metadata={"description": "What the id belongs to."})
    id = fields.UUID(allow_none=True)


class AlertShown(Schema):
    id = fields.UUID()
    kind = fields.String()
    severity = fields.String()
    level = fields.Integer(metadata={"description": "How bad within its kind; it may grow."})
    state = fields.String(
        metadata={"description": "`open`, `snoozed`, `acknowledged` or `resolved`."}
    )
    subject = fields.Nested(AlertSubject)
    sentence = fields.String()
    remedy = fields.String()
    detail = fields.Dict(keys=fields.String())
    note = fields.String(allow_none=True)
    seen = fields.Integer()
    agency_id = fields.UUID(allow_none=True)
    client_id = fields.UUID(allow_none=True)
    first_seen_at = fields.DateTime()
    last_seen_at = fields.DateTime()
    snoozed_until = fields.DateTime(allow_none=True)
    acknowledged_by = fields.UUID(allow_none=True)
    acknowledged_at = fields.DateTime(allow_none=True)
    resolved_by = fields.UUID(allow_none=True)
    resolved_at = fields.DateTime(allow_none=True)


class AlertPage(Schema):
    data = fields.List(fields.Nested(AlertShown))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


@routes.get("/alerts")
@permitted(Permission.ALERTS_READ)
@asks(AlertsQuery)
@answers(200, AlertPage)
def list_alerts(query: dict[str, Any]) -> Response:
    """List alerts, newest first; a tenant sees its own, the platform all."""
    limit = query["limit"]
    asked = read.AlertQuery(query["state"], query["severity"], query["kind"])
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        rows = read.list_alerts(
            session, asked, before=id_cursor(query), limit=limit + 1, now=clock.now(session)
        )
    return listed(rows, limit=limit, view=read.alert_view, place=lambda row: row.id)


@routes.get("/alerts/<uuid:alert_id>")
@permitted(Permission.ALERTS_READ)
@answers(200, AlertShown)
def get_alert(alert_id: UUID) -> Response:
    """One alert."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        return _shown(session, alert_id)


@routes.post("/alerts")
@permitted(Permission.ALERTS_HANDLE)
@reads(AlertBody)
@documented(parameters=[MAY_HAVE_KEY])
@answers(201, AlertShown)
def raise_alert(body: dict[str, Any]) -> Response:
    """Raise an alert by hand, for your own tenant or a client below you."""
    caller, house = principal(), front().house
    key = offered_key(caller, canonical(body))
    with scoped_transaction(house.sessions, caller.scope) as session:
        place = _place(session, caller, body["client_id"])
    seen = handle.ByHand(Severity(body["severity"]), body["note"], *place)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        now, keyring = clock.now(session), house.settings.keyring

        def make() -> UUID:
            identity = handle.raise_by_hand(session, seen, actor_id=caller.actor_id, now=now)
            tell(session, [News(identity, Happened.RAISED)], keyring=keyring, now=now)
            return identity

        done = once(session, key, make, status=201, resource_kind="alert")
    with scoped_transaction(house.sessions, caller.scope) as session:
        response = _shown(session, done.resource_id, status=201)
    return mark_replay(response, is_replay=done.is_replay)


class NoticesBody(Schema):
    severity = fields.String(required=True, validate=one_of(*CHOICES))
    kinds = fields.List(
        fields.String(validate=one_of(*sorted(ALL))),
        load_default=None,
        allow_none=True,
        validate=validate.Length(max=len(ALL), error="too_long|Give each kind once."),
    )


class Notices(Schema):
    severity = fields.String(
        metadata={"description": "From which severity on, or `none`: nothing at all."}
    )
    kinds = fields.List(
        fields.String(), allow_none=True, metadata={"description": "Null: of all kinds."}
    )


@routes.get("/alerts/notices")
@permitted(Permission.ALERTS_READ)
@answers(200, Notices)
def get_own_notices() -> Response:
    """Of which alerts you are told by mail."""
    caller = principal()
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        chosen = own_notices(session, caller.actor_id, by_default=default_of(caller.role))
    return jsonify({"severity": chosen.severity, "kinds": chosen.kinds})


@routes.put("/alerts/notices")
@permitted(Permission.OWN_CREDENTIALS)
@reads(NoticesBody)
@answers(200, Notices)
def choose_own_notices(body: dict[str, Any]) -> Response:
    """Choose of which alerts you are told by mail; what you may not see you are not told of."""
    caller = principal()
    reader = Reader(caller.actor_id, caller.agency_id, caller.client_id)
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        chosen = Chosen(body["severity"], body["kinds"])
        choose_notices(session, reader, chosen, now=clock.now(session))
    return jsonify(body)


@routes.post("/alerts/<uuid:alert_id>/acknowledge")
@permitted(Permission.ALERTS_HANDLE)
@may_read(NoteBody)
@answers(200, AlertShown)
def acknowledge_alert(body: dict[str, Any], alert_id: UUID) -> Response:
    """Say that you are at it; others see that, and it waits for nobody else."""
    return _handled(alert_id, partial(handle.acknowledge, note=body["note"]))


@routes.post("/alerts/<uuid:alert_id>/resolve")
@permitted(Permission.ALERTS_HANDLE)
@may_read(NoteBody)
@answers(200, AlertShown)
def resolve_alert(body: dict[str, Any], alert_id: UUID) -> Response:
    """Say that it is over; while its cause is there, it comes back as another alert."""
    return _handled(alert_id, partial(resolve_and_tell, note=body["note"]))


@routes.post("/alerts/<uuid:alert_id>/snooze")
@permitted(Permission.ALERTS_HANDLE)
@reads(SnoozeBody)
@answers(200, AlertShown)
def snooze_alert(body: dict[str, Any], alert_id: UUID) -> Response:
    """Let it rest until a time, at most 30 days ahead; if it gets worse it wakes before."""
    return _handled(alert_id, partial(handle.snooze, until=body["until"], note=body["note"]))


def _handled(alert_id: UUID, do: Callable[..., None]) -> Response:
    caller = principal()
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        do(session, alert_id, actor_id=caller.actor_id, now=clock.now(session))
        return _shown(session, alert_id)


def _place(
    session: Session, caller: Principal, client_id: UUID | None
) -> tuple[UUID | None, UUID | None]:
    """Agency and client of a new alert; `NotFound` for a client out of the caller's sight."""
    chosen = client_id or caller.client_id
    if chosen is None:
        return caller.agency_id, None
    row = client(session, chosen)
    return row.agency_id, row.id


def _shown(session: Session, alert_id: UUID, *, status: int = 200) -> Response:
    row = read.alert_row(session, alert_id, now=clock.now(session))
    response = jsonify(read.alert_view(row))
    response.status_code = status
    return response
