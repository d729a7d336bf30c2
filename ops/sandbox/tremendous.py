"""Play Tremendous' API: orders of links, look-ups, links made anew and the account."""

import time
from dataclasses import replace
from decimal import Decimal
from typing import Any

from flask import Blueprint, Response, request

from ops.sandbox.acting import play
from ops.sandbox.faults import HEADER, FaultBoard, Strike
from ops.sandbox.in_flight import InFlight, StillRunning
from ops.sandbox.orderbook import (
    SUCCESSFUL,
    AccountEmpty,
    Ending,
    NewOrder,
    Order,
    OrderBook,
    Search,
    in_parts,
)
from ops.sandbox.store import Store
from ops.sandbox.switches import Switchboard
from ops.sandbox.tremendous_catalogue import price, show_catalogue
from ops.sandbox.tremendous_door import NAME, Refused, guard
from ops.sandbox.tremendous_faults import (
    FAULTS,
    Switches,
    broken,
    ending,
    is_hidden,
    strike_before,
    suffer,
)
from ops.sandbox.tremendous_orders import (
    Wanted,
    judge_order,
    link_of,
    new_link,
    number_of,
    order_facts,
    order_record,
    reward_id,
)
from ops.sandbox.vendor import Vendor
from ops.sandbox.wire import cut_connection, read_json, reply

OPENING_BALANCE = Decimal(1_000_000)
BALANCE_SOURCE = "SANDBOXCASH1"
#: Orders in one page of `GET /orders`, by default and at most.
PAGE_DEFAULT, PAGE_MAX = 10, 500


def tremendous(store: Store) -> Vendor:
    pages = Blueprint(NAME, __name__, url_prefix=f"/{NAME}")
    vendor = Vendor(
        NAME,
        pages,
        OrderBook(store, NAME, opening_balance=OPENING_BALANCE),
        FaultBoard(FAULTS),
        Switchboard(Switches()),
    )
    guard(pages, store)
    desk = Desk(vendor)
    pages.post("/orders")(desk.take_order)
    pages.get("/orders")(desk.list_orders)
    pages.get("/orders/<name>")(desk.show_order)
    pages.get("/rewards/<identity>")(desk.show_reward)
    pages.post("/rewards/<identity>/generate_link")(desk.generate_link)
    pages.get("/funding_sources")(desk.list_sources)
    pages.get("/funding_sources/<identity>")(desk.show_source)
    show_catalogue(pages)
    return vendor


class Desk:
    """The calls that trade: each answers one request."""

    def __init__(self, vendor: Vendor) -> None:
        self._book = vendor.book
        self._faults = vendor.faults
        self._switches: Switchboard[Switches] = vendor.switches
        self._in_flight = InFlight()

    def take_order(self) -> Response:
        strike = self._faults.draw("order", request.headers.get(HEADER))
        if strike is not None:
            strike_before(strike)
        return play(strike, lambda: self._execute(strike), broken=broken)

    def list_orders(self) -> Response:
        suffer(self._faults, "lookup")
        asked = request.args
        limit = min(asked.get("limit", PAGE_DEFAULT, int), PAGE_MAX)
        wanted = Search(reference=asked.get("external_id"))
        total, orders = self._book.search(wanted, limit=limit, offset=asked.get("offset", 0, int))
        return reply({"orders": [order_record(order) for order in orders], "total_count": total})

    def show_order(self, name: str) -> Response:
        """By its own id or by the client's; the link is not told again."""
        strike = suffer(self._faults, "lookup")
        number = number_of(name)
        order = self._book.order_of(name) if number is None else self._book.order(number)
        if order is None or is_hidden(order, strike):
            raise self._refused(404, "Order not found")
        return reply({"order": order_record(order)})

    def show_reward(self, identity: str) -> Response:
        suffer(self._faults, "lookup")
        return reply({"reward": order_record(self._rewarded(identity))["rewards"][0]})

    def generate_link(self, identity: str) -> Response:
        strike = suffer(self._faults, "link")
        order = self._rewarded(identity)
        is_refused = strike is not None and strike.name == "link_403"
        if is_refused or order.status != SUCCESSFUL or order.facts["method"] != "LINK":
            raise self._refused(403, "A link cannot be generated for this reward")
        card = new_link()
        self._book.exchange_card(order.transaction_id, card)
        if strike is not None and strike.name == "drop_after_link":
            cut_connection(request.environ)
        return reply({"reward": {"id": reward_id(order), "link": link_of(card)}})

    def list_sources(self) -> Response:
        return reply({"funding_sources": [self._source()]})

    def show_source(self, identity: str) -> Response:
        if identity != BALANCE_SOURCE:
            raise self._refused(404, "Funding source not found")
        return reply({"funding_source": self._source()})

    def _execute(self, strike: Strike | None) -> Response:
        """Check the reference, wait, execute; a reference has one order, whoever comes when."""
        switches = self._switches.current
        body = request.get_data()
        try:
            wanted = judge_order(body)
        except Refused as refusal:
            raise self._refused(refusal.status, refusal.message, refusal.payload) from refusal
        asked = read_json(body)
        waits = not switches.overlap_conflicts
        try:
            with self._in_flight.alone(wanted.reference, waits=waits):
                known = wanted.reference and self._book.order_of(wanted.reference)
                if known:
                    return self._replayed(known, asked)
                if switches.latency_seconds:
                    time.sleep(switches.latency_seconds)
                return self._placed(wanted, asked, strike)
        except StillRunning as error:
            raise self._refused(409, "An order with this external_id is in process") from error

    def _replayed(self, order: Order, asked: Any) -> Response:
        if asked != order.facts["asked"]:
            raise self._refused(409, "external_id is used by an order of other parameters")
        has_link = self._switches.current.link_in_replay and order.status == SUCCESSFUL
        card = self._book.cards(order.transaction_id)[0] if has_link else None
        link = None if card is None else link_of(card)
        return reply({"order": order_record(order, link=link)}, 201)

    def _placed(self, wanted: Wanted, asked: Any, strike: Strike | None) -> Response:
        name = "" if strike is None else strike.name
        if strike is not None and name == "wrong_value":
            other = Decimal(str(strike.params["denomination"]))
            wanted = replace(wanted, value=other or wanted.value + 1)
        card = new_link()
        new = NewOrder(
            wanted.reference,
            wanted.value,
            in_parts(price(wanted.product, wanted.value).total),
            order_facts(wanted, asked),
            [card],
            ending(strike),
        )
        try:
            order = self._book.place(new)
        except AccountEmpty as error:
            if self._switches.current.keeps_unpaid_orders:
                self._book.place(replace(new, cost=0, ending=Ending("FAILED")))
            raise self._refused(402, "Not enough funds in your balance") from error
        is_told = order.status == SUCCESSFUL and wanted.method == "LINK" and name != "no_link"
        return reply({"order": order_record(order, link=link_of(card) if is_told else None)})

    def _rewarded(self, identity: str) -> Order:
        number = number_of(identity)
        order = None if number is None else self._book.order(number)
        if order is None:
            raise self._refused(404, "Reward not found")
        return order

    def _source(self) -> dict[str, Any]:
        cents = int(self._book.balance() * 100)
        meta = {"available_cents": cents, "pending_cents": 0}
        return {"id": BALANCE_SOURCE, "method": "balance", "status": "ACTIVE", "meta": meta}

    def _refused(self, status: int, message: str, payload: Any = None) -> Refused:
        return Refused(status, message, payload, is_plain=self._switches.current.plain_errors)
