"""Play Reloadly's gift-card API: orders, reports, codes and the account."""

import time
from dataclasses import replace
from decimal import Decimal

from flask import Blueprint, Response, request

from ops.sandbox.acting import play
from ops.sandbox.faults import HEADER, FaultBoard, Strike
from ops.sandbox.orderbook import SUCCESSFUL, AccountEmpty, NewOrder, Order, OrderBook, in_parts
from ops.sandbox.reloadly_catalogue import (
    ACCOUNT_CURRENCY,
    ACCOUNT_CURRENCY_NAME,
    price,
    show_catalogue,
)
from ops.sandbox.reloadly_door import NAME, Refused, guard, issue_token, timestamp
from ops.sandbox.reloadly_faults import (
    FAULTS,
    Switches,
    ending,
    strike_before,
    suffer,
    unprocessable,
)
from ops.sandbox.reloadly_orders import (
    Wanted,
    card_record,
    judge_order,
    new_card,
    order_facts,
    order_record,
    read_search,
)
from ops.sandbox.reloadly_paging import page_asked, report_page
from ops.sandbox.store import Store
from ops.sandbox.switches import Switchboard
from ops.sandbox.vendor import Vendor
from ops.sandbox.wire import reply

ACCEPT_V1 = "application/com.reloadly.giftcards-v1+json"
ACCEPT_V2 = "application/com.reloadly.giftcards-v2+json"
OPENING_BALANCE = Decimal(1_000_000_000)
REPORT_SIZE_MAX = 50


def reloadly(store: Store) -> Vendor:
    pages = Blueprint(NAME, __name__, url_prefix=f"/{NAME}")
    vendor = Vendor(
        NAME,
        pages,
        OrderBook(store, NAME, opening_balance=OPENING_BALANCE),
        FaultBoard(FAULTS),
        Switchboard(Switches()),
    )
    guard(pages, store)
    desk = Desk(vendor, store)
    pages.post("/auth/oauth/token")(desk.grant_token)
    pages.post("/orders")(desk.take_order)
    pages.get("/reports/transactions")(desk.report)
    pages.get("/reports/transactions/<int:transaction_id>")(desk.show_order)
    pages.get("/orders/transactions/<int:transaction_id>/cards")(desk.show_cards)
    pages.get("/accounts/balance")(desk.show_balance)
    show_catalogue(pages)
    return vendor


class Desk:
    """The calls that trade: each answers one request."""

    def __init__(self, vendor: Vendor, store: Store) -> None:
        self._book = vendor.book
        self._faults = vendor.faults
        self._switches: Switchboard[Switches] = vendor.switches
        self._store = store

    def grant_token(self) -> Response:
        suffer(self._faults, "token")
        return issue_token(self._store, seconds=self._switches.current.token_seconds)

    def take_order(self) -> Response:
        strike = self._faults.draw("order", request.headers.get(HEADER))
        if strike is not None:
            strike_before(strike)
        return play(
            strike, lambda: reply(order_record(self._execute(strike))), broken=unprocessable
        )

    def report(self) -> Response:
        strike = suffer(self._faults, "lookup")
        is_late = strike is not None and strike.name == "lookup_empty"
        hidden = strike.number("seconds") if strike is not None and is_late else 0.0
        search = read_search(request.args, hidden_seconds=hidden)
        number, size = page_asked(request.args, size_max=REPORT_SIZE_MAX)
        total, orders = self._book.search(search, limit=size, offset=number * size)
        content = [order_record(order) for order in orders]
        return reply(report_page(content, total=total, number=number, size=size))

    def show_order(self, transaction_id: int) -> Response:
        suffer(self._faults, "lookup")
        return reply(order_record(self._known(transaction_id)))

    def show_cards(self, transaction_id: int) -> Response:
        suffer(self._faults, "cards")
        accept = request.headers.get("Accept", "")
        if ACCEPT_V1 not in accept and ACCEPT_V2 not in accept:
            raise Refused(406, "Not Acceptable")
        order = self._known(transaction_id)
        switches = self._switches.current
        if order.status != SUCCESSFUL:
            if switches.empty_cards_while_open:
                return reply([])
            raise _unknown_transaction()
        has_link = ACCEPT_V2 in accept
        cards = [card_record(card, has_link=has_link) for card in self._book.cards(transaction_id)]
        return reply(cards[0] if switches.object_cards and len(cards) == 1 else cards)

    def show_balance(self) -> Response:
        return reply(
            {
                "balance": self._book.balance(),
                "currencyCode": ACCOUNT_CURRENCY,
                "currencyName": ACCOUNT_CURRENCY_NAME,
                "updatedAt": timestamp(time.time()),
            }
        )

    def _execute(self, strike: Strike | None) -> Order:
        """Check, wait, execute: two calls that overlap in the wait both execute, as in life."""
        switches = self._switches.current
        wanted = judge_order(request.get_data(), is_capped=switches.cap_100_usd)
        if wanted.reference is not None and self._book.holds_reference(wanted.reference):
            message = "The custom identifier has been used already"
            raise Refused(400, message, "CUSTOM_IDENTIFIER_ALREADY_USED")
        if switches.latency_seconds:
            time.sleep(switches.latency_seconds)
        return self._place(wanted, strike)

    def _place(self, wanted: Wanted, strike: Strike | None) -> Order:
        switches = self._switches.current
        if strike is not None and strike.name == "wrong_value":
            other = Decimal(str(strike.params["unit_price"]))
            wanted = replace(
                wanted, unit_price=other or wanted.product.neighbour(wanted.unit_price)
            )
        new = NewOrder(
            wanted.reference,
            wanted.unit_price,
            in_parts(price(wanted.product, wanted.unit_price, wanted.quantity).amount),
            order_facts(wanted),
            [new_card(is_integer=switches.integer_cards) for _ in range(wanted.quantity)],
            ending(wanted.product, strike),
        )
        try:
            return self._book.place(new)
        except AccountEmpty as error:
            code = None if switches.codeless_insufficient_balance else "INSUFFICIENT_BALANCE"
            message = "Insufficient balance in your wallet to complete this transaction"
            raise Refused(400, message, code) from error

    def _known(self, transaction_id: int) -> Order:
        order = self._book.order(transaction_id)
        if order is None:
            raise _unknown_transaction()
        return order


def _unknown_transaction() -> Refused:
    return Refused(404, "Gift Card transaction not found.")
