"""A card file on its page: rows by verdict, rejects, cards; and the recall of what is left of it."""

from uuid import UUID

from flask import Blueprint, Response, request, url_for

from models import clock
from models.cards import CardState
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.access.actors import names_of
from pipelines.access.permissions import Permission, is_allowed
from pipelines.errors import NotFound, Refusal
from pipelines.pools.batches import Batch, batch_cards, read_batch, rejects_csv
from pipelines.pools.move_cards import CardMove, move_batch
from pipelines.pools.read import read_pool
from pipelines.queue.keys import once
from web.console.form_names import form_name, key_of_form
from web.console.frame import go, page
from web.console.reasons import typed_reason
from web.console.stock_words import card_words, file_words, pool_words
from web.errors import STATUS
from web.front import front
from web.guards import permitted, principal

CARDS_SHOWN = 100
NO_REASON = "Say in a few words why; it is kept in the audit log. Please no card numbers."
DONE = {
    "quarantine": "What was left of the batch is set aside; claims that run now are waited for.",
    "release": "The cards are back in stock.",
    "void": "The cards that were set aside are ended.",
}


def add_pages(console: Blueprint) -> None:
    path = "/inventory/batches/<uuid:batch_id>"
    console.add_url_rule(path, "card_batch", show, methods=["GET"])
    console.add_url_rule(f"{path}/rejects.csv", "batch_rejects", rejects, methods=["GET"])
    console.add_url_rule(f"{path}/move", "batch_move", move, methods=["POST"])


@permitted(Permission.POOLS_READ)
def show(batch_id: UUID) -> Response:
    return _page(batch_id)


@permitted(Permission.POOLS_READ)
def rejects(batch_id: UUID) -> Response:
    """The rows that were refused, and never a card number."""
    sessions, scope = front().house.sessions, principal().scope
    batch = read_batch(sessions, scope, batch_id)
    response = Response(rejects_csv(sessions, scope, batch_id), mimetype="text/csv")
    name = f"rejects-batch-{batch.row.number}.csv"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


@permitted(Permission.POOLS_MANAGE)
def move(batch_id: UUID) -> Response:
    """Set aside, give back, or end; without a reason the page asks again."""
    sessions, caller = front().house.sessions, principal()
    read_batch(sessions, caller.scope, batch_id)
    wanted = request.form.get("move", "")
    if wanted not in set(CardMove):
        raise NotFound
    reason = typed_reason()
    if not reason or not reason.isprintable():
        return _page(batch_id, wrong=NO_REASON, status=422)
    try:
        with scoped_transaction(sessions, SYSTEM) as session:

            def moved() -> UUID:
                move_batch(
                    session,
                    batch_id,
                    CardMove(wanted),
                    reason=reason,
                    actor_id=caller.actor_id,
                    now=clock.now(session),
                )
                return batch_id

            key = key_of_form(caller.actor_id)
            once(session, key, moved, status=200, resource_kind="card_batch")
    except Refusal as refusal:
        return _page(batch_id, wrong=refusal.detail, status=STATUS[refusal.kind])
    return go(url_for("console.card_batch", batch_id=batch_id, done=wanted))


def _page(batch_id: UUID, *, wrong: str = "", status: int = 200) -> Response:
    sessions, caller = front().house.sessions, principal()
    batch = read_batch(sessions, caller.scope, batch_id)
    pool = pool_words(read_pool(sessions, caller.scope, batch.row.pool_id), sees_costs=False)
    words = file_words(batch)
    return page(
        "card_batch.html",
        title=f"Batch #{batch.row.number}",
        section="inventory",
        crumbs=[
            ("Gift-card inventory", url_for("console.inventory")),
            (pool.name, url_for("console.pool", pool_id=pool.id)),
            (f"Batch #{batch.row.number}", None),
        ],
        status=status,
        errors={"reason": wrong} if wrong else {},
        batch=words,
        pool=pool,
        sender=_sender(batch),
        issued=_issued(batch_id),
        form_name=form_name(),
        may_manage=is_allowed(caller, Permission.POOLS_MANAGE),
        done=DONE.get(request.args.get("done", "")),
    )


def _sender(batch: Batch) -> str:
    who = batch.row.submitted_by
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        return (names_of(session, {who}, caller=principal()).get(who) if who else None) or "–"


def _issued(batch_id: UUID) -> list[object]:
    """The first cards that were given already: a recall does not reach them."""
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        found = batch_cards(
            session, batch_id, state=CardState.ISSUED.value, after=None, limit=CARDS_SHOWN
        )
    return [card_words(card) for card in found]
