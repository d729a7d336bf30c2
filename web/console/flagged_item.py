"""One flagged use by itself: why, what it is about, its place in the queue, and the next one (S2-063, S2-138)."""

from uuid import UUID

from flask import Blueprint, Response, request, url_for

from models import clock
from pipelines.access.permissions import Permission, is_allowed
from pipelines.fraud.queue import COUNTED_MAX, QueuePlace, place_in_queue
from pipelines.fraud.read import WantedFlagged, read_flagged
from web.console.discounts import TITLE as DISCOUNTS
from web.console.flagged import DONE, ONE, TITLE, flagged_line
from web.console.formats import number
from web.console.frame import page
from web.console.purchases import customers_of
from web.console.typed import id_in
from web.console.visit import looking
from web.guards import permitted, principal


def add_pages(console: Blueprint) -> None:
    path = "/discounts/flagged/<uuid:reservation_id>"
    console.add_url_rule(path, "flagged_item", show, methods=["GET"])


@permitted(Permission.DISCOUNTS_MANAGE)
def show(reservation_id: UUID) -> Response:
    """Of all that wait, or of those of the code that the address names."""
    caller, code_id = principal(), id_in(request.args.get("code"))
    with looking() as session:
        row = read_flagged(session, reservation_id)
        queue = place_in_queue(session, WantedFlagged(code_id=code_id), row)
        (customer,) = customers_of(session, [row]).values()
        now = clock.now(session)
    return page(
        "flagged_item.html",
        title=ONE,
        section="discounts",
        crumbs=[
            (DISCOUNTS, url_for("console.discounts")),
            (TITLE, url_for("console.flagged", code=code_id)),
            (ONE, None),
        ],
        one=flagged_line(row, customer, now),
        place=_place_words(queue),
        is_waiting=queue.place is not None,
        next_id=queue.next_id,
        code_id=code_id,
        may_settle=is_allowed(caller, Permission.PURCHASES_SETTLE),
        may_see_purchases=is_allowed(caller, Permission.PURCHASES_READ),
        done=DONE.get(request.args.get("done", "")),
    )


def _place_words(queue: QueuePlace) -> str:
    """Its place among those that wait."""
    waiting = f"{number(queue.waiting)}{' or more' if queue.waiting >= COUNTED_MAX else ''}"
    if queue.place is None:
        return f"It waits no more; {waiting} others do." if queue.waiting else "It waits no more."
    if queue.place > COUNTED_MAX:
        return f"After the first {number(COUNTED_MAX)} that wait."
    return f"{number(queue.place)} of {waiting} that wait, the highest score first."
