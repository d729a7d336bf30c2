"""Pay units of a purchase back that came back: each at what was paid for it (EC-033).

It shows first what that comes to, and is done once, for a reason.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy import Row
from sqlalchemy.orm import Session

from models import clock
from pipelines.access.permissions import Permission
from pipelines.checkout.returned import left_words, paid_for, units_back
from pipelines.checkout.settle import refund_purchase
from pipelines.errors import ValidationFailed
from pipelines.payments.refusals import NothingToRefund
from web.console.amounts import typed_amount, whole_of
from web.console.changes import Change, Line, agree, form_page
from web.console.formats import money, number
from web.console.purchase_page import quote_lines
from web.console.purchase_settle import NOTHING_LEFT, found_purchase, refund_change, why_not
from web.console.purchase_words import paid_words
from web.console.purchases import section_place
from web.console.visit import looking
from web.guards import permitted, principal

TITLE = "Pay returned units back"
NO_UNITS = "Say of a line how many units came back."


def add_pages(console: Blueprint) -> None:
    path = "/purchases/<uuid:purchase_id>/returned"
    console.add_url_rule(path, "purchase_returned", ask, methods=["GET"])
    console.add_url_rule(path, "purchase_returned_now", pay_back, methods=["POST"])


@permitted(Permission.PURCHASES_SETTLE)
def ask(purchase_id: UUID) -> Response:
    row, left = found_purchase(purchase_id)
    return _form(row, left, _back(row), {}, {})


@permitted(Permission.PURCHASES_SETTLE)
def pay_back(purchase_id: UUID) -> Response:
    """Show what was paid for the units, or ask Stripe for it when that was agreed to."""
    row, left = found_purchase(purchase_id)
    names, back = _fields(row), _back(row)
    typed, errors = {name: typed_amount(name) for name in names}, dict[str, str]()
    returned = _returned(row, errors)
    if not returned and not errors:
        errors[names[0]] = NO_UNITS
    gone, is_agreed = _gone(row, returned, back), "agreed" in request.form
    if not is_agreed:
        errors = gone | errors
    if errors:
        return _form(row, left, back, typed, errors)
    # What was agreed to may be back because this form was sent twice.
    amount = paid_for(row.quote, returned, {} if gone else back)
    if not is_agreed and (wrong := why_not(row, amount, left)):
        return _form(row, left, back, typed, {_first(names, typed): wrong})
    try:
        return agree(section_place(row), _change(row, returned, back, amount, left), typed)
    except (NothingToRefund, ValidationFailed):
        # Somebody else was faster: what can be paid back is read anew.
        row, left = found_purchase(purchase_id)
        back = _back(row)
        wrong = why_not(row, amount, left) or NOTHING_LEFT
        errors = _gone(row, returned, back) or {_first(names, typed): wrong}
        return _form(row, left, back, typed, errors, status=409)


def _change(
    row: Row[Any],
    returned: Sequence[tuple[int, int]],
    back: Mapping[int, int],
    amount: int,
    left: int,
) -> Change:
    lines = quote_lines(row, back)
    units = tuple(
        Line(
            lines[place].name,
            f"{number(lines[place].back)} of {number(lines[place].quantity)} back",
            f"{number(lines[place].back + many)} back",
        )
        for place, many in returned
    )
    act = partial(_refund, row.id, returned)
    return refund_change(row, amount, left, act=act, units=units)


def _refund(
    purchase_id: UUID, returned: Sequence[tuple[int, int]], session: Session, reason: str
) -> UUID:
    return refund_purchase(
        session,
        purchase_id,
        amount_minor=None,
        returned=returned,
        reason=reason,
        actor_id=principal().actor_id,
        now=clock.now(session),
    )


def _returned(row: Row[Any], errors: dict[str, str]) -> list[tuple[int, int]]:
    """Places of lines with how many units of each came back; what is wrong is put into `errors`."""
    read = [
        (place, whole_of(field, line["quantity"], errors))
        for place, (field, line) in enumerate(zip(_fields(row), row.quote["lines"], strict=True))
    ]
    return [(place, many) for place, many in read if many]


def _back(row: Row[Any]) -> dict[int, int]:
    """How many units of each line came back before."""
    with looking() as session:
        return units_back(session, row.id)


def _gone(
    row: Row[Any], returned: Sequence[tuple[int, int]], back: Mapping[int, int]
) -> dict[str, str]:
    """By its field, each line of which fewer are left than came back now."""
    names, lines = _fields(row), row.quote["lines"]
    return {
        names[place]: left_words(lines[place]["quantity"], back[place])
        for place, many in returned
        if place in back and many > lines[place]["quantity"] - back[place]
    }


def _first(names: Sequence[str], typed: Mapping[str, str]) -> str:
    """The first field in which something stands."""
    return next(name for name in names if typed[name])


def _fields(row: Row[Any]) -> list[str]:
    """The field of each line."""
    return [f"units_{place}" for place in range(len(row.quote["lines"]))]


def _form(
    row: Row[Any],
    left: int,
    back: Mapping[int, int],
    typed: Mapping[str, str],
    errors: Mapping[str, str],
    *,
    status: int | None = None,
) -> Response:
    names, bought = _fields(row), quote_lines(row, back)
    paid = [
        money(paid_for(row.quote, [(place, line.quantity)], {}), row.quote["currency"])
        for place, line in enumerate(bought)
    ]
    return form_page(
        "purchase_returned.html",
        section_place(row),
        TITLE,
        dict.fromkeys(names, "") | dict(typed),
        errors,
        status=status,
        lines=list(zip(names, bought, paid, strict=True)),
        paid=paid_words(row),
        left=money(max(0, left), row.paid_currency or row.currency),
        is_over=left <= 0,
        refund=url_for("console.purchase_refund", purchase_id=row.id),
    )
