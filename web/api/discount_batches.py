"""Discount codes by the thousand over HTTP: generated, imported, and moved as the batch that they are."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, ValidationError, fields, validates_schema

from models import clock
from models.database import scoped_transaction
from models.discounts import CodeState
from pipelines.access.permissions import Permission
from pipelines.access.principals import Principal
from pipelines.access.rate_policies import Policy
from pipelines.books.patterns import Pattern
from pipelines.discounts.accept_codes import LISTED_ROWS_MAX, accept_codes, listed_rows
from pipelines.discounts.batches import move_batch, read_batch
from pipelines.discounts.code_export import audit_export, codes_csv
from pipelines.discounts.code_rows import BETWEEN
from pipelines.discounts.generate import Generation, accept_generation
from pipelines.discounts.options import options_in
from pipelines.discounts.rules import DiscountKind
from pipelines.jobs.create import AcceptedJob
from pipelines.jobs.imports import CodesFile
from pipelines.limits import DEFAULTS
from pipelines.queue.keys import RequestKey, once
from web.admission import canonical, mark_replay, offered_key, request_key
from web.api.books import PatternBody
from web.api.code_files import CodesQuery, ListedCodes, code_list, codes_given, csv_or
from web.api.discount_schemas import CODE_CHARACTERS_MAX, DiscountOptions, NewDiscountRules
from web.api.discounts import rules_in
from web.api.job_schemas import Job
from web.api.routes import (
    IDEMPOTENCY_KEY,
    MAY_HAVE_KEY,
    PREFER,
    Routes,
    answers,
    answers_csv,
    asks,
    documented,
    reads,
)
from web.api.shop_schemas import ShopCustomer
from web.backpressure import saturation_now
from web.fields import Count, Identity, Text, Word
from web.front import front
from web.guards import freshly_proven, permitted, principal
from web.jobs_shown import accepted
from web.rate_limits import limited
from web.tenant_choice import chosen_client

routes = Routes(
    "discount-batches", "Discount codes by the thousand: the codes of one job are a batch."
)


class DiscountGeneration(NewDiscountRules, DiscountOptions):
    """What each of the codes does, as of one code; `max_uses` is of each of them, too."""

    pattern = fields.Nested(PatternBody, required=True)
    count = Count(low=1, high=DEFAULTS.discount_codes_at_once_max, required=True)
    client_id = Identity(load_default=None, allow_none=True)


class DiscountRow(NewDiscountRules, DiscountOptions):
    code = Text(required=True, longest=CODE_CHARACTERS_MAX)
    assigned_to = fields.Nested(ShopCustomer, allow_none=True)

    @validates_schema
    def _has_products_of_a_cell(self, data: dict[str, Any], **_: Any) -> None:
        if any(BETWEEN in sku for sku in data.get("products") or ()):
            raise ValidationError(f"illegal_character|No SKU has a {BETWEEN} in it.", "products")

    @validates_schema
    def _has_tiers_of_a_cell(self, data: dict[str, Any], **_: Any) -> None:
        """A cell does not say which of both it gives: it is what the code gives."""
        name = "percent_bp" if data.get("kind") == DiscountKind.PERCENT else "amount_minor"
        if any(set(tier) != {"from_minor", name} for tier in data.get("tiers") or ()):
            detail = f"A tier of this code has from_minor and {name}."
            raise ValidationError(f"invalid_tiers|{detail}", "tiers")


class DiscountRows(ListedCodes):
    codes = code_list(fields.Nested(DiscountRow), most=LISTED_ROWS_MAX)


class DiscountsUpload(CodesQuery):
    client_id = Identity(
        load_default=None, metadata={"description": "Of which client, for who sees several."}
    )


class DiscountBatch(Schema):
    id = fields.UUID(metadata={"description": "That of the job that made or imported the codes."})
    agency_id = fields.UUID()
    client_id = fields.UUID()
    state = Word(CodeState, description="What all its codes were last told.")
    codes = fields.Integer(metadata={"description": "How many there are."})
    used = fields.Integer(metadata={"description": "Reserved and paid, of all of them."})
    version = fields.Integer()
    created_by = fields.UUID()
    created_at = fields.DateTime()
    updated_at = fields.DateTime()


_ROWS, _PARTS = DiscountRows(), DiscountsUpload(partial=True)


@routes.post("/discounts/generate")
@permitted(Permission.DISCOUNTS_MANAGE)
@limited(Policy.SUBMIT)
@reads(DiscountGeneration)
@documented(parameters=[IDEMPOTENCY_KEY, PREFER])
@answers(202, Job)
def generate_discounts(body: dict[str, Any]) -> Response:
    """Make `count` new codes of a pattern that all do the same; the job's id is that of their batch.

    422 `pattern_space_too_small` unless a thousand times as many codes fit the pattern; of codes
    for a single use, unless it has 60 bits, and 40 beyond the codes that are there.
    """
    house, caller = front().house, principal()
    key, saturated = request_key(caller, canonical(body)), saturation_now()
    with scoped_transaction(house.sessions, caller.scope) as session:
        asked = Generation(
            chosen_client(session, caller, body["client_id"]),
            Pattern(**body["pattern"]),
            body["count"],
            rules_in(body),
            max_uses=body.get("max_uses"),
            max_uses_per_customer=body["max_uses_per_customer"],
            options=options_in(body),
        )
        done = accept_generation(
            session,
            asked,
            actor_id=caller.actor_id,
            key=key,
            limits=house.limits,
            saturated=saturated,
        )
    return accepted(caller, done.job_id, is_replay=done.is_replay)


@routes.post("/discounts/import")
@permitted(Permission.DISCOUNTS_MANAGE)
@limited(Policy.UPLOAD)
@asks(DiscountsUpload)
@documented(parameters=[IDEMPOTENCY_KEY, PREFER], requestBody=csv_or(DiscountRows))
@answers(202, Job)
def import_discounts(query: dict[str, Any]) -> Response:
    """Take codes of your own: a CSV with a column for each rule, or JSON `{codes, on_error}`.

    Rejects are items of the job, by row without the header. With `abort` one of them means that
    nothing is taken; with `skip` the others are. The job's id is that of their batch.
    """
    caller = principal()
    request_key(caller)  # a request without a name is refused before its file is read
    with codes_given(_ROWS, listed_rows, query, _PARTS) as given:
        key = request_key(caller, canonical(given.query), given.mark)
        done = _accepted(caller, given.query, given.file, key)
    return accepted(caller, done.job_id, is_replay=done.is_replay)


@routes.get("/discounts/batches/<uuid:discount_batch_id>")
@permitted(Permission.DISCOUNTS_READ)
@answers(200, DiscountBatch)
def get_discount_batch(discount_batch_id: UUID) -> Response:
    """A batch; its codes are `GET /discounts?batch_id=`."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        return jsonify(read_batch(session, discount_batch_id))


@routes.get("/discounts/batches/<uuid:discount_batch_id>/codes.csv")
@permitted(Permission.DISCOUNTS_MANAGE)
@answers_csv()
def download_discount_batch(discount_batch_id: UUID) -> Response:
    """The codes of a batch as a file, newest first, after a fresh proof of who you are; audited."""
    house, caller = front().house, freshly_proven()
    with scoped_transaction(house.sessions, caller.scope) as session:
        audit_export(session, discount_batch_id, actor_id=caller.actor_id)
        now = clock.now(session)
    blocks = codes_csv(house.sessions, caller.scope, discount_batch_id, now=now)
    response = Response(blocks, mimetype="text/csv")
    name = f"discount-codes-{discount_batch_id}-{now:%Y%m%dT%H%M%SZ}.csv"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


@routes.post("/discounts/batches/<uuid:discount_batch_id>/pause")
@permitted(Permission.DISCOUNTS_MANAGE)
@documented(parameters=[MAY_HAVE_KEY])
@answers(200, DiscountBatch)
def pause_discount_batch(discount_batch_id: UUID) -> Response:
    """Take no new reservations of any code of the batch; codes that are made later are paused, too."""
    return _moved(discount_batch_id, partial(move_batch, state=CodeState.PAUSED))


@routes.post("/discounts/batches/<uuid:discount_batch_id>/resume")
@permitted(Permission.DISCOUNTS_MANAGE)
@documented(parameters=[MAY_HAVE_KEY])
@answers(200, DiscountBatch)
def resume_discount_batch(discount_batch_id: UUID) -> Response:
    """Take new reservations again, also of codes that were paused one by one."""
    return _moved(discount_batch_id, partial(move_batch, state=CodeState.ACTIVE))


@routes.delete("/discounts/batches/<uuid:discount_batch_id>")
@permitted(Permission.DISCOUNTS_MANAGE)
@answers(200, DiscountBatch)
def archive_discount_batch(discount_batch_id: UUID) -> Response:
    """Put all codes of a batch away for good; its job makes no more."""
    return _moved(discount_batch_id, partial(move_batch, state=CodeState.ARCHIVED), is_keyed=False)


def _moved(batch_id: UUID, move: Callable[..., None], *, is_keyed: bool = True) -> Response:
    """Do it; a repeat with the same key answers the batch as it is now."""
    caller = principal()
    key = offered_key(caller) if is_keyed else None
    with scoped_transaction(front().house.sessions, caller.scope) as session:

        def moved() -> UUID:
            move(session, batch_id, actor_id=caller.actor_id, now=clock.now(session))
            return batch_id

        done = once(session, key, moved, status=200, resource_kind="discount_batch")
        response = jsonify(read_batch(session, batch_id))
    return mark_replay(response, is_replay=done.is_replay)


def _accepted(
    caller: Principal, query: dict[str, Any], file: CodesFile, key: RequestKey
) -> AcceptedJob:
    house, saturated = front().house, saturation_now()
    with scoped_transaction(house.sessions, caller.scope) as session:
        return accept_codes(
            session,
            chosen_client(session, caller, query["client_id"]),
            file,
            actor_id=caller.actor_id,
            key=key,
            keyring=house.settings.keyring,
            limits=house.limits,
            saturated=saturated,
        )
