"""Who is in a pool of people, over HTTP: added by a list or a file, removed, listed, looked up."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from flask import Response, jsonify, request
from marshmallow import Schema, ValidationError, fields, validates_schema

from models.database import scoped_transaction
from pipelines.access.permissions import Permission
from pipelines.access.principals import Principal
from pipelines.access.rate_policies import Policy
from pipelines.errors import FieldError
from pipelines.jobs.create import AcceptedJob
from pipelines.jobs.kinds import OnError
from pipelines.limits import DEFAULTS
from pipelines.queue.keys import first_result, made_at, remember
from pipelines.user_pools import pools, read
from pipelines.user_pools.accept_import import Import, accept_import
from pipelines.user_pools.add_members import LISTS, Added, People, add_members, added_before
from pipelines.user_pools.remove_members import remove_member, remove_members
from web.admission import canonical, intake_slot, mark_replay, offered_key, request_key
from web.api.job_schemas import Job
from web.api.routes import (
    CSV_BODY,
    MAY_HAVE_KEY,
    PREFER,
    Routes,
    answers,
    answers_csv,
    asks,
    documented,
    reads,
)
from web.backpressure import saturation_now
from web.bodies import loaded, with_form
from web.fields import Flag, Identity, PageQuery, Secret, Text, one_of
from web.front import front
from web.guards import permitted, principal
from web.jobs_shown import accepted
from web.pages import id_cursor, listed
from web.rate_limits import limited, spend
from web.uploads import csv_upload

routes = Routes("user-pool-members", "Who is in a pool of people.")
FILES = frozenset({"text/csv", "multipart/form-data"})


class PeopleBody(Schema):
    """At most 1,000 people, by any of the three."""

    user_ids = fields.List(Identity())
    emails = fields.List(Secret(longest=320))
    external_ids = fields.List(Secret(longest=4_096))

    @validates_schema
    def _is_of_some(self, data: dict[str, Any], **_: Any) -> None:
        named = sum(len(data.get(name, ())) for name in LISTS)
        if named == 0:
            raise ValidationError(
                "required|Give at least one of `user_ids`, `emails` and `external_ids`."
            )
        if named > DEFAULTS.inline_recipients_max:
            raise ValidationError(
                f"use_csv_upload|More than {DEFAULTS.inline_recipients_max} people go through a "
                "CSV file."
            )


class MembersBody(PeopleBody):
    on_error = fields.String(validate=one_of(*OnError))
    create_missing = Flag(
        metadata={"description": "Whom you do not know yet is made, without credentials."}
    )


class MembersQuery(Schema):
    """As in a JSON body, for a file."""

    on_error = fields.String(load_default=OnError.ABORT.value, validate=one_of(*OnError))
    create_missing = Flag(in_text=True, load_default=False)


class UnknownEntry(Schema):
    pointer = fields.String()
    code = fields.String()
    detail = fields.String()


class AddedMembers(Schema):
    added = fields.Integer()
    new_people = fields.Integer(
        metadata={"description": "Of those who were added, whom you did not know before."}
    )
    already_members = fields.Integer()
    duplicates = fields.Integer(metadata={"description": "Entries of somebody named before."})
    inactive = fields.Integer(metadata={"description": "Disabled people, who were left out."})
    left_out = fields.List(fields.Nested(UnknownEntry), data_key="unknown")


class RemovedMembers(Schema):
    removed = fields.Integer()
    left_out = fields.List(fields.Nested(UnknownEntry), data_key="unknown")


class Member(Schema):
    user_id = fields.UUID()
    email = fields.String(allow_none=True)
    external_id = fields.String(allow_none=True)
    name = fields.String()
    is_active = fields.Boolean()
    added_at = fields.DateTime()


class MemberPage(Schema):
    data = fields.List(fields.Nested(Member))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


class MembersPageQuery(PageQuery):
    q = Text(
        longest=320,
        load_default="",
        metadata={"description": "How an address begins, or a whole external id."},
    )


ADD_BODY = {
    "required": True,
    "content": {"application/json": {"schema": MembersBody}, **CSV_BODY["content"]},
}
#: Made once: building a schema costs more than reading a body.
_BODY, _PARTS = MembersBody(), MembersQuery(partial=True)


@routes.post("/pools/<uuid:user_pool_id>/users")
@permitted(Permission.USER_POOLS_MANAGE)
@limited(Policy.SUBMIT)
@asks(MembersQuery)
@documented(parameters=[MAY_HAVE_KEY, PREFER], requestBody=ADD_BODY)
@answers(200, AddedMembers)
@answers(202, Job)
def add_pool_users(query: dict[str, Any], user_pool_id: UUID) -> Response:
    """Add people: up to 1,000 as JSON, at once; more as a CSV, which a job works in.

    Columns of the file: `user_id,email,external_id,name`, at least one that says who it is; a file
    needs an Idempotency-Key. A repeat of a JSON body with its key adds nobody again and answers as
    the first, but for who has left the pool since: they are `not_a_member`. With `on_error=abort`, as it is unless you say otherwise, one wrong or
    unknown entry means that nobody is added; with `skip` the others are. Whoever is in the pool
    already stays in it once. A `user_id` in a file is of somebody whom the client knows already; in
    JSON it may be of anybody in your sight.
    """
    if request.mimetype in FILES:
        return _from_file(query, user_pool_id)
    return _from_list(query | loaded(_BODY, request.get_json()), user_pool_id)


@routes.post("/pools/<uuid:user_pool_id>/users/remove")
@permitted(Permission.USER_POOLS_MANAGE)
@limited(Policy.SUBMIT)
@reads(PeopleBody)
@answers(200, RemovedMembers)
def remove_pool_users(body: dict[str, Any], user_pool_id: UUID) -> Response:
    """Take up to 1,000 people out of a pool; what they were given stays theirs."""
    caller = principal()
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        done = remove_members(session, user_pool_id, _people(body), actor_id=caller.actor_id)
    return jsonify({"removed": done.removed, "unknown": _unknown(done.unknown)})


@routes.delete("/pools/<uuid:user_pool_id>/users/<uuid:user_id>")
@permitted(Permission.USER_POOLS_MANAGE)
@answers(204)
def remove_pool_user(user_pool_id: UUID, user_id: UUID) -> Response:
    """Take one person out of a pool."""
    caller = principal()
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        remove_member(session, user_pool_id, user_id, actor_id=caller.actor_id)
    return Response(status=204)


@routes.get("/pools/<uuid:user_pool_id>/users")
@permitted(Permission.USER_POOLS_READ)
@asks(MembersPageQuery)
@answers(200, MemberPage)
def list_pool_users(query: dict[str, Any], user_pool_id: UUID) -> Response:
    """Who is in a pool, by user id."""
    limit, after = query["limit"], id_cursor(query)
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        pool = pools.pool(session, user_pool_id)
        rows = read.list_members(session, pool, words=query["q"], after=after, limit=limit + 1)
    return listed(
        rows, limit=limit, view=lambda row: dict(row._mapping), place=lambda row: row.user_id
    )


@routes.get("/pools/<uuid:user_pool_id>/users.csv")
@permitted(Permission.USER_POOLS_READ)
@answers_csv()
def download_pool_users(user_pool_id: UUID) -> Response:
    """Who is in a pool, as a file that can be uploaded again; taking it is in the audit log."""
    sessions, caller = front().house.sessions, principal()
    with scoped_transaction(sessions, caller.scope) as session:
        pool = pools.pool(session, user_pool_id)
        told = {"members": pool.members}
        pools.audit_pool(session, "user_pool.exported", pool, caller.actor_id, told)
    blocks = read.members_csv(sessions, caller.scope, user_pool_id)
    response = Response(blocks, mimetype="text/csv")
    name = f"pool-{user_pool_id}.csv"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


def _from_list(asked: dict[str, Any], user_pool_id: UUID) -> Response:
    caller, people = principal(), _people(asked)
    key = offered_key(caller, canonical(asked))
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        if key is not None and first_result(session, key) is not None:
            at = made_at(session, key)
            added = added_before(session, user_pool_id, people, actor_id=caller.actor_id, at=at)
            return mark_replay(jsonify(_shown(added)), is_replay=True)
        added = add_members(
            session,
            user_pool_id,
            people,
            on_error=OnError(asked["on_error"]),
            makes=asked["create_missing"],
            actor_id=caller.actor_id,
        )
        if key is not None:
            remember(session, key, status=200, resource_kind="user_pool", resource_id=user_pool_id)
    return jsonify(_shown(added))


def _from_file(query: dict[str, Any], user_pool_id: UUID) -> Response:
    house, caller = front().house, principal()
    request_key(caller)  # a request without a name is refused before its file is read
    spend(Policy.UPLOAD)
    saturated = saturation_now()
    with intake_slot(), csv_upload(bytes_max=house.limits.upload_bytes_max) as upload:
        query = with_form(query, _PARTS)
        key = request_key(caller, canonical(query), upload.sha256)
        asked = Import(
            user_pool_id, OnError(query["on_error"]), query["create_missing"], upload.name
        )
        with scoped_transaction(house.sessions, caller.scope) as session:
            done = accept_import(
                session,
                asked,
                upload.stream,
                actor_id=caller.actor_id,
                key=key,
                keyring=house.settings.keyring,
                limits=house.limits,
                saturated=saturated,
            )
    return _accepted(caller, done)


def _accepted(caller: Principal, done: AcceptedJob) -> Response:
    return accepted(caller, done.job_id, is_replay=done.is_replay)


def _people(body: dict[str, Any]) -> People:
    return People(**{name: body[name] for name in LISTS if name in body})


def _shown(added: Added) -> dict[str, Any]:
    tally = added.tally
    return {
        "added": tally.good,
        "new_people": added.new,
        "already_members": tally.already_members,
        "duplicates": tally.duplicates,
        "inactive": tally.inactive,
        "unknown": _unknown(added.unknown),
    }


def _unknown(entries: Iterable[FieldError]) -> list[dict[str, Any]]:
    return [entry.as_json() for entry in entries]
