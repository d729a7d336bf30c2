"""Play Tango's RaaS v2: orders that repeat themselves, their credentials, catalogue and account."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal

from flask import Blueprint, Response, request

from ops.sandbox.acting import ORDER_FAULTS, play, throttle_seconds
from ops.sandbox.faults import HEADER, FaultBoard, FaultKind, Strike
from ops.sandbox.orderbook import (
    REFUNDED,
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
from ops.sandbox.tango_catalogue import ACCOUNT_CURRENCY, RATES, catalogue
from ops.sandbox.tango_door import NAME, Pace, Refused, admit, endpoint, issue_token, refusals
from ops.sandbox.tango_orders import (
    Wanted,
    cost_of,
    judge_order,
    new_card,
    order_facts,
    order_number,
    order_record,
    read_reference,
    read_search,
    unavailable,
    unknown_order,
)
from ops.sandbox.vendor import Vendor
from ops.sandbox.wire import reply

OPENING_BALANCE = Decimal(1_000_000_000)

FAULTS = (
    *ORDER_FAULTS,
    FaultKind("auth_401", "order"),
    FaultKind("throttled_429", "order", {"retry_after": -1}),
    FaultKind("unavailable_503", "order"),
    FaultKind("out_of_stock", "order"),
    FaultKind("wrong_value", "order", {"amount": 0}),
    #: A review takes a business day; `then` is COMPLETE or FAILED.
    FaultKind("processing", "order", {"seconds": 86_400.0, "then": "COMPLETE"}),
    FaultKind("lookup_500", "lookup"),
    FaultKind("lookup_429", "lookup", {"retry_after": -1}),
    FaultKind("token_500", "token"),
)
#: What an order becomes, in the book's words.
ENDS = {"COMPLETE": SUCCESSFUL, "FAILED": REFUNDED}


@dataclass(frozen=True, slots=True)
class Switches:
    """How Tango behaves while nothing is wrong."""

    #: An order runs this long; the same reference meanwhile gets 409.002.
    latency_seconds: float = 0.0
    #: The real one answers a second call within a second with 429.008; 0 counts nothing.
    calls_per_second: float = 0.0


def tango(store: Store) -> Vendor:
    pages = Blueprint(NAME, __name__, url_prefix=f"/{NAME}")
    vendor = Vendor(
        NAME,
        pages,
        OrderBook(store, NAME, opening_balance=OPENING_BALANCE),
        FaultBoard(FAULTS),
        Switchboard(Switches()),
    )
    desk = Desk(vendor, store)
    pages.before_request(desk.admit)
    refusals(pages)
    pages.post("/oauth/token")(desk.grant_token)
    pages.post("/orders")(desk.take_order)
    pages.get("/orders")(desk.list_orders)
    pages.get("/orders/<reference_order_id>")(desk.show_order)
    pages.get("/accounts/<account>")(desk.show_account)
    pages.get("/catalogs")(lambda: reply(catalogue()))
    pages.get("/exchangerates")(desk.show_rates)
    return vendor


class Desk:
    """The calls that trade: each answers one request."""

    def __init__(self, vendor: Vendor, store: Store) -> None:
        self._book = vendor.book
        self._faults = vendor.faults
        self._switches: Switchboard[Switches] = vendor.switches
        self._store = store
        self._pace = Pace()
        self._running: set[str] = set()
        self._lock = threading.Lock()

    def admit(self) -> None:
        """Count each call, ask for credentials, and keep the pace."""
        path = endpoint(str(request.url_rule))
        self._store.count_call(NAME, f"{request.method} {path}")
        if path == "/oauth/token":
            return
        admit(self._store)
        if not self._pace.take(self._switches.current.calls_per_second):
            raise Refused(429, "429.008", "The transactions-per-second threshold is exceeded")

    def grant_token(self) -> Response:
        if self._faults.draw("token", request.headers.get(HEADER)):
            return reply({"error": "server_error"}, 500)
        return issue_token(self._store)

    def take_order(self) -> Response:
        strike = self._faults.draw("order", request.headers.get(HEADER))
        if strike is not None:
            _strike_before(strike)
        return play(strike, lambda: self._execute(strike), broken=_broken)

    def list_orders(self) -> Response:
        self._suffer_lookup()
        search, page, size = read_search(request.args)
        total, orders = self._book.search(search, limit=size, offset=page * size)
        shown = {
            "number": page,
            "elementsPerBlock": size,
            "resultCount": len(orders),
            "totalCount": total,
        }
        return reply({"page": shown, "orders": [order_record(order) for order in orders]})

    def show_order(self, reference_order_id: str) -> Response:
        self._suffer_lookup()
        order = self._book.order(order_number(reference_order_id))
        if order is None:
            raise unknown_order()
        return reply(self._verbose(order))

    def show_account(self, account: str) -> Response:
        return reply(
            {
                "accountIdentifier": account,
                "accountNumber": "A00000000",
                "displayName": account,
                "currencyCode": ACCOUNT_CURRENCY,
                "currentBalance": self._book.balance(),
                "status": "ACTIVE",
            }
        )

    def show_rates(self) -> Response:
        rates = [
            {"baseCurrency": name, "rewardCurrency": ACCOUNT_CURRENCY, "baseFx": rate}
            for name, rate in RATES.items()
        ]
        return reply({"disclaimer": "", "exchangeRates": rates})

    def _execute(self, strike: Strike | None) -> Response:
        """Sell, or answer a known reference with its original order, whatever the body says."""
        reference = read_reference(request.get_data())
        if reference is None:
            return reply(self._verbose(self._sell(strike)), 201)
        with self._alone(reference):
            original = self._original(reference)
            if original is not None:
                return reply(self._verbose(original), 200)
            return reply(self._verbose(self._sell(strike)), 201)

    @contextmanager
    def _alone(self, reference: str) -> Iterator[None]:
        with self._lock:
            if reference in self._running:
                said = "An order with the same external reference is in process but not complete"
                raise Refused(409, "409.002", said)
            self._running.add(reference)
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(reference)

    def _original(self, reference: str) -> Order | None:
        _total, found = self._book.search(Search(reference=reference), limit=100, offset=0)
        return next((order for order in found if order.reference == reference), None)

    def _sell(self, strike: Strike | None) -> Order:
        wanted = judge_order(request.get_data())
        if strike is not None and strike.name == "wrong_value":
            other = Decimal(str(strike.params["amount"]))
            wanted = replace(wanted, amount=other or wanted.item.neighbour(wanted.amount))
        if seconds := self._switches.current.latency_seconds:
            time.sleep(seconds)
        try:
            return self._book.place(_new_order(wanted, strike))
        except AccountEmpty as error:
            raise Refused(402, "402.001", "The account has insufficient funds") from error

    def _verbose(self, order: Order) -> dict[str, object]:
        return order_record(order, self._book.cards(order.transaction_id))

    def _suffer_lookup(self) -> None:
        strike = self._faults.draw("lookup", request.headers.get(HEADER))
        if strike is None:
            return
        if strike.name == "lookup_429":
            raise _too_many(strike)
        raise Refused(500, "500.000", "Internal error")


def _new_order(wanted: Wanted, strike: Strike | None) -> NewOrder:
    ending = Ending()
    if strike is not None and strike.name == "processing":
        then = ENDS[strike.text("then")]
        ending = Ending("PENDING", time.time() + strike.number("seconds"), then)
    facts, cost = order_facts(wanted), in_parts(cost_of(wanted))
    return NewOrder(wanted.reference, wanted.amount, cost, facts, [new_card()], ending)


def _strike_before(strike: Strike) -> None:
    """Act out the faults that hit before the order is looked at: nothing is executed."""
    match strike.name:
        case "auth_401":
            raise Refused(401, "401.001", "Credentials are required")
        case "throttled_429":
            raise _too_many(strike)
        case "unavailable_503":
            raise Refused(503, "503.004", "The supplier does not answer")
        case "out_of_stock":
            raise unavailable()


def _too_many(strike: Strike) -> Refused:
    wait = throttle_seconds(strike)
    return Refused(429, "429.001", "Too many requests", retry_after=wait)


def _broken() -> Response:
    raise Refused(500, "500.003", "The order could not be processed; contact support")
