"""Cards in no pool: what undos gave back, by brand and amount, and the way to put them to use."""

from uuid import UUID

from flask import Blueprint, Response, request, url_for

from pipelines.access.permissions import Permission, is_allowed
from pipelines.pools.without_pool import adopt_cards, groups_without_pool, list_without_pool
from pipelines.queue.keys import once
from web.console.form_names import form_name, key_of_form
from web.console.frame import go, page
from web.console.stock_words import outside_card_words, outside_words
from web.console.typed import id_in
from web.console.visit import looking
from web.guards import permitted, principal

SHOWN = 50


def add_pages(console: Blueprint) -> None:
    path = "/inventory/without-pool"
    console.add_url_rule(path, "cards_without_pool", show, methods=["GET"])
    path = "/inventory/pools/<uuid:pool_id>/adopt"
    console.add_url_rule(path, "pool_adopt", adopt, methods=["POST"])


@permitted(Permission.VENDORS_READ)
def show() -> Response:
    caller = principal()
    with looking() as session:
        groups = groups_without_pool(session)
        before = id_in(request.args.get("before"))
        cards = list_without_pool(session, before=before, limit=SHOWN + 1)
    older = None
    if len(cards) > SHOWN:
        older = url_for("console.cards_without_pool", before=cards[SHOWN - 1].id)
    title = "Cards in no pool"
    return page(
        "cards_without_pool.html",
        title=title,
        section="inventory",
        crumbs=[("Gift-card inventory", url_for("console.inventory")), (title, None)],
        groups=[outside_words(group) for group in groups],
        cards=[outside_card_words(card, sees_costs=caller.sees_costs) for card in cards[:SHOWN]],
        older=older,
        sees_costs=caller.sees_costs,
        may_adopt=is_allowed(caller, Permission.POOLS_REFILL),
        form_name=form_name(),
        is_done=request.args.get("done") == "adopted",
    )


@permitted(Permission.POOLS_REFILL)
def adopt(pool_id: UUID) -> Response:
    """Put the cards that fit the buffer on its stock."""
    caller = principal()
    with looking() as session:

        def adopted() -> UUID:
            adopt_cards(session, pool_id, actor_id=caller.actor_id)
            return pool_id

        key = key_of_form(caller.actor_id)
        once(session, key, adopted, status=200, resource_kind="card_pool")
    return go(url_for("console.cards_without_pool", done="adopted"))
