"""Erasure of a person over HTTP: asked once, done by a task, counted by table."""

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, ValidationError, fields, validates_schema

from models import clock
from models.database import scoped_transaction
from pipelines.access.permissions import Permission
from pipelines.access.principals import Principal
from pipelines.audit.record import REASON_CHARACTERS_MAX
from pipelines.erasure.ask import Asked, ask_erasure, erasure, list_erasures
from pipelines.errors import FieldError, NotFound
from pipelines.jobs.addresses import person_key
from pipelines.queue.keys import once
from pipelines.user_pools.member_rows import check_member
from web.admission import canonical, mark_replay, request_key
from web.api.routes import IDEMPOTENCY_KEY, Routes, answers, asks, documented, reads
from web.fields import EmailAddress, Identity, PageQuery, Secret, Text
from web.front import front
from web.guards import permitted, principal
from web.pages import id_cursor, listed
from web.tenant_choice import ClientRequired

routes = Routes("erasures", "Forget a person: what was sent to them stays counted, not theirs.")
#: What says whom.
NAMES = ("email", "user_id", "external_id")


class ExternalId(Secret):
    """A client's own id of a person, as a file of people may have it."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        said = check_member({"external_id": super()._deserialize(value, *args, **kwargs)})
        if isinstance(said, FieldError):
            raise ValidationError(f"{said.code}|{said.detail}")
        assert said.external_id is not None, "it was looked at"
        return said.external_id


class ErasureBody(Schema):
    """Whom: by one of `email`, `user_id` and `external_id`."""

    email = EmailAddress(longest=320)
    user_id = Identity(metadata={"description": "Of somebody whom the client knows."})
    external_id = ExternalId(
        longest=4_096, metadata={"description": "The client's own id of somebody it knows."}
    )
    reason = Text(required=True, longest=REASON_CHARACTERS_MAX)
    client_id = Identity(
        load_default=None,
        allow_none=True,
        metadata={"description": "Only there; the platform may leave it out: everywhere."},
    )

    @validates_schema
    def _is_of_one(self, data: dict[str, Any], **_: Any) -> None:
        named = [name for name in NAMES if name in data]
        if not named:
            raise ValidationError(f"required|Give one of {', '.join(NAMES)}.", field_name="email")
        if len(named) > 1:
            raise ValidationError(f"one_of|Give one of {', '.join(NAMES)} alone.", named[1])


class ErasureCounts(Schema):
    items = fields.Integer()
    provisions = fields.Integer()
    redemption_codes = fields.Integer()
    drafts = fields.Integer()
    users = fields.Integer()


class ErasureShown(Schema):
    id = fields.UUID()
    state = fields.String()
    client_id = fields.UUID(allow_none=True)
    erased = fields.Nested(ErasureCounts)
    created_at = fields.DateTime()
    finished_at = fields.DateTime(allow_none=True)


class ErasurePage(Schema):
    data = fields.List(fields.Nested(ErasureShown))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


@routes.post("/erasures")
@permitted(Permission.PEOPLE_ERASE)
@reads(ErasureBody)
@documented(parameters=[IDEMPOTENCY_KEY])
@answers(202, ErasureShown)
def create_erasure(body: dict[str, Any]) -> Response:
    """Erase a person from all that was submitted before; 202, a task does it.

    By their address, or, of somebody whom the client knows, by `user_id` or by its `external_id`.
    Coupons stay where they are, held by an id that nobody knows any more.
    """
    caller, house = principal(), front().house
    asked = Asked(
        body.get("email"),
        body["reason"],
        _place(caller, body["client_id"]),
        body.get("user_id"),
        body.get("external_id"),
    )
    if asked.external_id is not None and asked.client_id is None:
        raise ClientRequired
    key = request_key(caller, canonical(_unguessable(body, house.person_secret)))
    with scoped_transaction(house.sessions, caller.scope) as session:
        ask = partial(
            ask_erasure,
            session,
            asked,
            actor_id=caller.actor_id,
            keyring=house.settings.keyring,
            now=clock.now(session),
        )
        done = once(session, key, ask, status=202, resource_kind="erasure")
        response = jsonify(_shown(erasure(session, done.resource_id)))
    response.status_code = 202
    response.headers["Location"] = f"/api/v1/erasures/{done.resource_id}"
    return mark_replay(response, is_replay=done.is_replay)


@routes.get("/erasures")
@permitted(Permission.PEOPLE_ERASE)
@asks(PageQuery)
@answers(200, ErasurePage)
def list_erasure_requests(query: dict[str, Any]) -> Response:
    """Erasures of your tenant, newest first; whom they forgot is not kept."""
    limit, before = query["limit"], id_cursor(query)
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        rows = list_erasures(session, before=before, limit=limit + 1)
    return listed(rows, limit=limit, view=_shown, place=lambda row: row.id)


@routes.get("/erasures/<uuid:erasure_id>")
@permitted(Permission.PEOPLE_ERASE)
@answers(200, ErasureShown)
def get_erasure(erasure_id: UUID) -> Response:
    """How far an erasure has come, and what it found by table."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        return jsonify(_shown(erasure(session, erasure_id)))


def _unguessable(body: dict[str, Any], secret: bytes) -> dict[str, Any]:
    """What is kept of a request is a fast hash, which would find the address or external id again."""
    named = dict(body)
    if "email" in body:
        named["email"] = person_key(body["email"], secret).hex()
    if "external_id" in body:
        named["external_id"] = person_key(None, secret, reference=body["external_id"]).hex()
    return named


def _place(caller: Principal, given: UUID | None) -> UUID | None:
    """The caller's own client; of the platform the one named, or everywhere."""
    if caller.client_id is None:
        return given
    if given not in (None, caller.client_id):
        raise NotFound
    return caller.client_id


def _shown(row: Any) -> dict[str, Any]:
    counts = ("items", "provisions", "redemption_codes", "drafts", "users")
    return {
        "id": row.id,
        "state": row.state,
        "client_id": row.client_id,
        "erased": {name: getattr(row, name) for name in counts},
        "created_at": row.created_at.isoformat(),
        "finished_at": row.finished_at.isoformat() if row.finished_at else None,
    }
