"""Play Giftbit's API: orders of direct links, their links, gifts and funds."""

import time
from dataclasses import replace
from decimal import Decimal
from typing import Any

from flask import Blueprint, Response, request

from ops.sandbox.acting import play
from ops.sandbox.faults import HEADER, FaultBoard, Strike
from ops.sandbox.giftbit_catalogue import show_catalogue
from ops.sandbox.giftbit_door import NAME, Refused, guard, info
from ops.sandbox.giftbit_faults import (
    FAULTS,
    Switches,
    broken,
    ending,
    is_hidden,
    strike_before,
    suffer,
)
from ops.sandbox.giftbit_orders import (
    Wanted,
    gift_record,
    info_of_new,
    judge_order,
    link_of,
    new_link,
    number_of,
    order_facts,
    order_record,
    pacific_time,
)
from ops.sandbox.in_flight import InFlight
from ops.sandbox.orderbook import SUCCESSFUL, NewOrder, Order, OrderBook, Search, in_parts
from ops.sandbox.store import Store
from ops.sandbox.switches import Switchboard
from ops.sandbox.vendor import Vendor
from ops.sandbox.wire import read_json, reply

OPENING_BALANCE = Decimal(1_000_000)
PAGE_LINKS = 50
PAGE_GIFTS = 20


def giftbit(store: Store) -> Vendor:
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
    pages.get("/ping")(desk.ping)
    pages.post("/direct_links")(desk.take_order)
    pages.get("/campaign/<name>")(desk.show_order)
    pages.get("/links/<name>")(desk.show_links)
    pages.get("/gifts")(desk.list_gifts)
    pages.get("/funds")(desk.show_funds)
    show_catalogue(pages)
    return vendor


class Desk:
    """The calls that trade: each answers one request. One balance pays for every currency."""

    def __init__(self, vendor: Vendor) -> None:
        self._book = vendor.book
        self._faults = vendor.faults
        self._switches: Switchboard[Switches] = vendor.switches
        self._in_flight = InFlight()

    def ping(self) -> Response:
        told = info("INFO_CREDENTIALS", "Credentials are valid", "The credentials are valid.")
        return reply({"username": "sandbox", "displayname": "Sandbox", "info": told})

    def take_order(self) -> Response:
        strike = self._faults.draw("order", request.headers.get(HEADER))
        if strike is not None:
            strike_before(strike)
        return play(strike, lambda: self._execute(strike), broken=broken)

    def show_order(self, name: str) -> Response:
        """By Giftbit's own id or by the client's."""
        strike = suffer(self._faults, "lookup")
        order = self._known(name)
        if is_hidden(order, strike):
            raise self._nobody()
        told = info("INFO_CAMPAIGN_RETRIEVED", "Campaign Retrieved", "A campaign")
        is_bare = self._switches.current.bare_campaigns
        return reply({"info": told, "campaign": order_record(order, is_bare=is_bare)})

    def show_links(self, name: str) -> Response:
        strike = suffer(self._faults, "links")
        order = self._known(name)
        if order.status != SUCCESSFUL or strike is not None:
            message = "Link generation is not complete"
            told = info("INFO_LINKS_GENERATION_IN_PROGRESS", "Links not completed", message)
            return reply({"info": told})
        rows = [{"link": link, "number": n} for n, link in enumerate(self._links(order), 1)]
        told = info("INFO_LINKS", "Link information retrieved", "Returned links")
        counted = {"number_of_results": len(rows), "total_count": len(rows)}
        paged = {"limit": PAGE_LINKS, "offset": 0}
        return reply({"info": told, "directlinks": rows[:PAGE_LINKS]} | counted | paged)

    def list_gifts(self) -> Response:
        suffer(self._faults, "lookup")
        asked = request.args
        limit, offset = asked.get("limit", PAGE_GIFTS, int), asked.get("offset", 0, int)
        wanted = Search(
            reference=asked.get("campaign_id"),
            status=SUCCESSFUL,
            created_from=pacific_time(asked.get("created_date_greater_than")),
            created_to=pacific_time(asked.get("created_date_less_than")),
        )
        total, orders = self._book.search(wanted, limit=limit, offset=offset)
        told = info("INFO_GIFTS", "Gift information retrieved", "Returned gifts")
        counted = {"number_of_results": len(orders), "total_count": total}
        paged = {"limit": limit, "offset": offset, "status": 200}
        return reply({"gifts": [gift_record(o) for o in orders], "info": told} | counted | paged)

    def show_funds(self) -> Response:
        nothing = {"available_in_cents": 0, "pending_in_cents": 0, "reserved_in_cents": 0}
        funds = nothing | {"available_in_cents": int(self._book.balance() * 100)}
        told = info("INFO_FUNDS", "Fund information retrieved", "Your current funds")
        by_currency = {"USD": funds, "CAD": nothing, "PRO": nothing}
        return reply({"info": told, "fundsbycurrency": by_currency})

    def _execute(self, strike: Strike | None) -> Response:
        """Check the reference, wait, execute; a reference has one order, whoever comes when."""
        switches = self._switches.current
        body = request.get_data()
        wanted = judge_order(body)
        asked = read_json(body)
        with self._in_flight.alone(wanted.reference, waits=True):
            if (known := self._book.order_of(wanted.reference)) is not None:
                return self._replayed(known, asked)
            if switches.latency_seconds:
                time.sleep(switches.latency_seconds)
            return self._placed(wanted, asked, strike)

    def _replayed(self, order: Order, asked: Any) -> Response:
        switches = self._switches.current
        is_other = asked != order.facts["asked"] and switches.refuses_other_body
        if is_other or switches.replay_status != 200:
            status = 422 if is_other else switches.replay_status
            message = "The id has already been used"
            raise Refused(status, "ERROR_CAMPAIGN_ID_USED", message)
        return self._answered(order, has_links=True)

    def _placed(self, wanted: Wanted, asked: Any, strike: Strike | None) -> Response:
        name = "" if strike is None else strike.name
        if strike is not None and name == "wrong_value":
            other = int(strike.number("price_in_cents"))
            wanted = replace(wanted, price_in_cents=other or wanted.price_in_cents + 100)
        facts = order_facts(wanted, asked)
        total = Decimal(facts["fees"]["total_in_cents"]) / 100 * wanted.links
        new = NewOrder(
            wanted.reference,
            Decimal(wanted.price_in_cents) / 100,
            in_parts(total),
            facts,
            [new_link() for _ in range(wanted.links)],
            ending(strike),
            may_wait=True,
        )
        return self._answered(self._book.place(new), has_links=name != "no_link")

    def _answered(self, order: Order, *, has_links: bool) -> Response:
        is_told = has_links and order.status == SUCCESSFUL
        is_bare = self._switches.current.bare_campaigns
        return reply(
            {
                "info": info(*info_of_new(order)),
                "status": 200,
                "campaign": order_record(order, is_new=True, is_bare=is_bare),
                "direct_links": self._links(order) if is_told else [],
            }
        )

    def _links(self, order: Order) -> list[str]:
        return [link_of(card) for card in self._book.cards(order.transaction_id)]

    def _known(self, name: str) -> Order:
        number = number_of(name)
        order = self._book.order_of(name) if number is None else self._book.order(number)
        if order is None:
            raise self._nobody()
        return order

    def _nobody(self) -> Refused:
        status = self._switches.current.absent_status
        return Refused(status, "ERROR_CAMPAIGN_NO_SUCH_CAMPAIGN", "No campaign found")
