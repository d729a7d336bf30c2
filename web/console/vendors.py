"""The platform's pages of vendors: how each account is, its orders, and what a person decides."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for

from models import clock
from models.cards import OrderState
from models.database import scoped_transaction
from pipelines.access.permissions import Permission, is_allowed
from pipelines.errors import FieldError, Refusal
from pipelines.pricing.products import list_products
from pipelines.provisioning.order_list import list_orders, order_named
from pipelines.provisioning.resolve_order import Outcome, resolve_order
from pipelines.reconciliation.vendor_statement import list_statements
from pipelines.vendors import accounts
from web.console.formats import number
from web.console.frame import go, page
from web.console.product_words import product_words
from web.console.reasons import NO_REASON, typed_reason
from web.console.vendor_words import BOUND_WORDS, ORDER_STATES, OUTCOMES, account_words
from web.front import front
from web.guards import freshly_proven, permitted, principal

ORDERS_SHOWN = 50
PRODUCTS_SHOWN = 50
STATEMENTS_SHOWN = 14
VENDOR_NUMBER_CHARACTERS_MAX = 100
DAY_CHARACTERS = 10
#: Digits beyond any bound are not read at all.
_BOUND = re.compile(r"[0-9]{1,9}")


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/vendors", "vendors", show_all)
    console.add_url_rule("/vendors/<vendor>", "vendor", show_one)
    console.add_url_rule("/vendors/<vendor>/bounds", "vendor_bounds", bound, methods=["POST"])
    console.add_url_rule("/vendors/<vendor>/use", "vendor_use", use, methods=["POST"])
    console.add_url_rule("/vendors/<vendor>/breaker", "vendor_breaker", close, methods=["POST"])
    console.add_url_rule("/vendor-orders/<uuid:order_id>", "vendor_order", show_order)
    console.add_url_rule(
        "/vendor-orders/<uuid:order_id>", "vendor_order_resolve", resolve, methods=["POST"]
    )


@permitted(Permission.VENDORS_READ)
def show_all() -> Response:
    house = front().house
    with scoped_transaction(house.sessions, principal().scope) as session:
        now = clock.now(session)
        found = accounts.list_accounts(session, now=now, configured=house.vendors)
    return page(
        "vendors.html",
        title="Vendors",
        section="vendors",
        accounts=[account_words(one) for one in found],
    )


@permitted(Permission.VENDORS_READ)
def show_one(vendor: str) -> Response:
    return vendor_page(vendor)


@permitted(Permission.VENDORS_MANAGE)
def bound(vendor: str) -> Response:
    """Set rate, burst and calls in flight, as the form had them."""
    numbers = {}
    for name, highest in accounts.HIGHEST_BOUNDS.items():
        typed = request.form.get(name, "").strip()
        value = int(typed) if _BOUND.fullmatch(typed) else 0
        if not 1 <= value <= highest:
            wrong = f"{BOUND_WORDS[name]}: give a whole number from 1 to {number(highest)}."
            return vendor_page(vendor, wrong=wrong, status=422)
        numbers[name] = value
    return _changed(vendor, numbers)


@permitted(Permission.VENDORS_MANAGE)
def use(vendor: str) -> Response:
    """Put the account out of use, or into use again, for a reason."""
    reason = typed_reason()
    if not reason:
        return vendor_page(vendor, {"use_reason": NO_REASON}, status=422)
    return _changed(vendor, {"is_disabled": request.form.get("use") == "off", "reason": reason})


@permitted(Permission.VENDORS_MANAGE)
def close(vendor: str) -> Response:
    """Close the breaker for a reason; without one the page asks again."""
    reason = typed_reason()
    if not reason:
        return vendor_page(vendor, {"reason": NO_REASON}, status=422)
    caller = principal()
    try:
        with scoped_transaction(front().house.sessions, caller.scope) as session:
            now = clock.now(session)
            accounts.close_breaker(
                session, vendor, reason=reason, actor_id=caller.actor_id, now=now
            )
    except accounts.BreakerClosed as refusal:
        return vendor_page(vendor, wrong=refusal.detail, status=409)
    return go(url_for("console.vendor", vendor=vendor))


@permitted(Permission.VENDORS_READ)
def show_order(order_id: UUID) -> Response:
    return _order(order_id)


@permitted(Permission.ORDERS_RESOLVE)
def resolve(order_id: UUID) -> Response:
    """Write down what the person found out about an order, who must have proven themselves."""
    caller, house, reason = freshly_proven(), front().house, typed_reason()
    if not reason:
        return _order(order_id, wrong=NO_REASON, status=422)
    chosen = request.form.get("outcome", "")
    if chosen not in set(Outcome):
        return _order(order_id, wrong="Choose what became of the order.", status=422)
    vendor_order_id = request.form.get("vendor_order_id", "").strip()[:VENDOR_NUMBER_CHARACTERS_MAX]
    try:
        with scoped_transaction(house.sessions, caller.scope) as session:
            resolve_order(
                session,
                order_id,
                Outcome(chosen),
                reason=reason,
                vendor_order_id=vendor_order_id or None,
                actor_id=caller.actor_id,
                now=clock.now(session),
                limits=house.limits,
            )
    except Refusal as refusal:
        return _order(order_id, wrong=refusal.detail, status=409)
    return go(url_for("console.vendor_order", order_id=order_id))


def _changed(vendor: str, values: dict[str, Any]) -> Response:
    caller = principal()
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        now = clock.now(session)
        accounts.change_account(session, vendor, actor_id=caller.actor_id, now=now, **values)
    return go(url_for("console.vendor", vendor=vendor))


def vendor_page(
    vendor: str,
    errors: Mapping[str, str] | None = None,
    *,
    rows: Sequence[FieldError] = (),
    wrong: str | None = None,
    status: int = 200,
) -> Response:
    """The account as it is; `errors` by field, and the `rows` of a statement that are wrong."""
    house, caller = front().house, principal()
    asked = request.args.get("state")
    chosen = asked if asked in ORDER_STATES else OrderState.UNKNOWN.value
    with scoped_transaction(house.sessions, caller.scope) as session:
        now = clock.now(session)
        found = accounts.account_named(session, vendor, now=now, configured=house.vendors)
        orders = list_orders(session, state=chosen, vendor=vendor, before=None, limit=ORDERS_SHOWN)
        sold = list_products(session, vendor, with_routes=True, limit=PRODUCTS_SHOWN)
        statements = list_statements(session, vendor, limit=STATEMENTS_SHOWN)
        is_read = bool(sold or list_products(session, vendor, limit=1))
    return page(
        "vendor.html",
        title=vendor.capitalize(),
        section="vendors",
        crumbs=(("Vendors", url_for("console.vendors")), (vendor.capitalize(), None)),
        status=status,
        account=account_words(found),
        seen=found,
        bounds=BOUND_WORDS,
        orders=[(order, ORDER_STATES[order.state]) for order in orders],
        products=[product_words(row) for row in sold],
        is_read=is_read,
        statements=statements,
        filters=[(value, words.word) for value, words in ORDER_STATES.items()],
        chosen=chosen,
        may_manage=is_allowed(caller, Permission.VENDORS_MANAGE),
        wrong=wrong,
        errors=errors or {},
        wrong_rows=rows,
        typed_day=request.form.get("day", "")[:DAY_CHARACTERS],
        last_day=(now.date() - timedelta(days=1)).isoformat(),
        bytes_max=house.limits.intake_inline_bytes_max,
    )


def _order(order_id: UUID, *, wrong: str | None = None, status: int = 200) -> Response:
    caller = principal()
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        order = order_named(session, order_id)
    return page(
        "vendor_order.html",
        title="Vendor order",
        section="vendors",
        crumbs=(
            ("Vendors", url_for("console.vendors")),
            (order.vendor.capitalize(), url_for("console.vendor", vendor=order.vendor)),
            ("Order", None),
        ),
        status=status,
        order=order,
        words=ORDER_STATES[order.state],
        outcomes=OUTCOMES.get(order.state, ()),
        may_resolve=is_allowed(caller, Permission.ORDERS_RESOLVE),
        wrong=wrong,
    )
