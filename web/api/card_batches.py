"""Import batches over HTTP: what became of a file, its rejects, and cards set aside."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, fields
from sqlalchemy import Row

from models import clock
from models.cards import CardState
from models.database import scoped_transaction
from models.jobs import JobState
from models.scope import SYSTEM
from pipelines.access.permissions import Permission
from pipelines.audit.record import REASON_CHARACTERS_MAX
from pipelines.pools.batches import Batch as BatchView
from pipelines.pools.batches import batch_cards, list_batches, read_batch, rejects_csv
from pipelines.pools.move_cards import CardMove, move_batch, move_card, stock_card
from pipelines.pools.read import FAR_DAY, read_pool
from pipelines.queue.keys import once
from web.admission import canonical, mark_replay, offered_key
from web.api.job_schemas import JobError
from web.api.routes import MAY_HAVE_KEY, Routes, answers, answers_csv, asks, documented, reads
from web.fields import PageQuery, Text, Word, one_of
from web.front import front
from web.guards import permitted, principal
from web.pages import id_cursor, listed, number_cursor

routes = Routes("card-batches", "Files of cards, and cards set aside.")


class CardReason(Schema):
    reason = Text(
        longest=REASON_CHARACTERS_MAX,
        required=True,
        metadata={"description": "Your words for the audit log; no card numbers."},
    )


class CardsQuery(PageQuery):
    state = fields.String(load_default=None, validate=one_of(*CardState))


class BatchRows(Schema):
    total = fields.Integer()
    imported = fields.Integer()
    duplicate = fields.Integer()
    bad = fields.Integer()
    left_out = fields.Integer(
        metadata={"description": "Good rows of a file that was refused for its bad ones."}
    )


class Batch(Schema):
    id = fields.UUID(metadata={"description": "Also the id of its job."})
    number = fields.Integer()
    pool_id = fields.UUID()
    state = Word(JobState)
    file_name = fields.String(allow_none=True)
    sha256 = fields.String(allow_none=True)
    submitted_by = fields.UUID(allow_none=True)
    created_at = fields.DateTime()
    finished_at = fields.DateTime(allow_none=True)
    error = fields.Nested(JobError, allow_none=True)
    rows = fields.Nested(BatchRows)
    cards = fields.Dict(keys=fields.String(), values=fields.Integer())
    quarantined_at = fields.DateTime(allow_none=True)


class BatchPage(Schema):
    data = fields.List(fields.Nested(Batch))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


class BatchCard(Schema):
    id = fields.UUID()
    row = fields.Integer(allow_none=True)
    last4 = fields.String()
    state = Word(CardState)
    expires_on = fields.Date(allow_none=True)
    redemption_id = fields.UUID(
        allow_none=True, metadata={"description": "Whom it was given to, if it was."}
    )
    issued_at = fields.DateTime(allow_none=True)


class BatchCardPage(Schema):
    data = fields.List(fields.Nested(BatchCard))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


@routes.get("/gift-card-pools/<uuid:pool_id>/batches")
@permitted(Permission.POOLS_READ)
@asks(PageQuery)
@answers(200, BatchPage)
def list_card_batches(query: dict[str, Any], pool_id: UUID) -> Response:
    """The files that were imported into a pool, newest first."""
    sessions, caller, limit = front().house.sessions, principal(), query["limit"]
    read_pool(sessions, caller.scope, pool_id)
    found = list_batches(
        sessions, caller.scope, pool_id, before=number_cursor(query), limit=limit + 1
    )
    return listed(found, limit=limit, view=BatchView.as_json, place=lambda b: b.row.number)


@routes.get("/card-batches/<uuid:batch_id>")
@permitted(Permission.POOLS_READ)
@answers(200, Batch)
def get_card_batch(batch_id: UUID) -> Response:
    """One file: who sent it, its rows by verdict, its cards by state."""
    return jsonify(read_batch(front().house.sessions, principal().scope, batch_id).as_json())


@routes.get("/card-batches/<uuid:batch_id>/rejects.csv")
@permitted(Permission.POOLS_READ)
@answers_csv()
def download_batch_rejects(batch_id: UUID) -> Response:
    """The rows that were refused: row, field, code and a sentence, and never a card number."""
    sessions, scope = front().house.sessions, principal().scope
    batch = read_batch(sessions, scope, batch_id)
    response = Response(rejects_csv(sessions, scope, batch_id), mimetype="text/csv")
    name = f"rejects-batch-{batch.row.number}.csv"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


@routes.get("/card-batches/<uuid:batch_id>/cards")
@permitted(Permission.POOLS_READ)
@asks(CardsQuery)
@answers(200, BatchCardPage)
def list_batch_cards(query: dict[str, Any], batch_id: UUID) -> Response:
    """The cards of a file by their last four; `state=issued` lists those that were given already."""
    sessions, limit, caller = front().house.sessions, query["limit"], principal()
    read_batch(sessions, caller.scope, batch_id)
    with scoped_transaction(sessions, SYSTEM) as session:
        found = batch_cards(
            session, batch_id, state=query["state"], after=id_cursor(query), limit=limit + 1
        )
    return listed(found, limit=limit, view=_card, place=lambda card: card.id)


def _batch_moves(move: CardMove, says: str) -> None:
    """The route of one move of a batch."""

    def view(body: dict[str, Any], batch_id: UUID) -> Response:
        return _batch_moved(body, batch_id, move)

    view.__name__, view.__doc__ = f"{move.value}_card_batch", says
    _declared(f"/card-batches/<uuid:batch_id>/{move.value}", view, Batch)


def _card_moves(move: CardMove, says: str) -> None:
    """The route of one move of a card."""

    def view(body: dict[str, Any], card_id: UUID) -> Response:
        return _card_moved(body, card_id, move)

    view.__name__, view.__doc__ = f"{move.value}_card", says
    _declared(f"/cards/<uuid:card_id>/{move.value}", view, BatchCard)


def _declared(path: str, view: Callable[..., Response], shape: type[Schema]) -> None:
    decorated = view
    for decorate in (
        answers(200, shape),
        documented(parameters=[MAY_HAVE_KEY]),
        reads(CardReason),
        permitted(Permission.POOLS_MANAGE),
    ):
        decorated = decorate(decorated)
    routes.post(path)(decorated)


def _batch_moved(body: dict[str, Any], batch_id: UUID, move: CardMove) -> Response:
    sessions, caller = front().house.sessions, principal()
    read_batch(sessions, caller.scope, batch_id)
    key = offered_key(caller, canonical(body))
    with scoped_transaction(sessions, SYSTEM) as session:

        def moved() -> UUID:
            who = {"reason": body["reason"], "actor_id": caller.actor_id}
            move_batch(session, batch_id, move, now=clock.now(session), **who)
            return batch_id

        done = once(session, key, moved, status=200, resource_kind="card_batch")
    answer = jsonify(read_batch(sessions, caller.scope, batch_id).as_json())
    return mark_replay(answer, is_replay=done.is_replay)


def _card_moved(body: dict[str, Any], card_id: UUID, move: CardMove) -> Response:
    caller = principal()
    key = offered_key(caller, canonical(body))
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        stock_card(session, caller.scope, card_id)

        def moved() -> UUID:
            move_card(session, card_id, move, reason=body["reason"], actor_id=caller.actor_id)
            return card_id

        done = once(session, key, moved, status=200, resource_kind="card")
        answer = jsonify(_card(stock_card(session, caller.scope, card_id)))
    return mark_replay(answer, is_replay=done.is_replay)


_batch_moves(
    CardMove.QUARANTINE,
    "Set what is left of a batch aside. Cards that were given stay given; of a large batch a worker moves the rest.",
)
_batch_moves(CardMove.RELEASE, "Give the cards of a batch that were set aside back to stock.")
_batch_moves(CardMove.VOID, "End the cards of a batch that were set aside, for good.")
_card_moves(CardMove.QUARANTINE, "Set one card of the stock aside.")
_card_moves(CardMove.RELEASE, "Give one card that was set aside back to stock.")
_card_moves(CardMove.VOID, "End one card that was set aside, for good.")


def _card(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "row": row.import_row,
        "last4": row.last4,
        "state": row.state,
        "expires_on": None if row.expires_on == FAR_DAY else row.expires_on,
        "redemption_id": row.redemption_id,
        "issued_at": row.issued_at,
    }
