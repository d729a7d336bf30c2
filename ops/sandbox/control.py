"""Let a test steer one vendor and read what the vendor really did."""

from decimal import Decimal
from typing import Any

from flask import Blueprint, Response, request

from ops.sandbox.faults import BadControl, FaultBoard
from ops.sandbox.store import Store
from ops.sandbox.switches import Switchboard
from ops.sandbox.vendor import Vendor
from ops.sandbox.wire import read_json, reply

#: Orders in one page of `/control/<vendor>/orders`.
PAGE_ORDERS = 1_000


def control_pages(vendor: Vendor, store: Store) -> Blueprint:
    pages = Blueprint(f"control_{vendor.name}", __name__, url_prefix=f"/control/{vendor.name}")
    steer_faults(pages, vendor.faults)
    steer_switches(pages, vendor.switches)
    _steer_account(pages, vendor, store)

    @pages.get("/orders")
    def list_orders() -> Response:
        limit = request.args.get("limit", PAGE_ORDERS, int)
        return reply(vendor.book.listing(limit=limit, offset=request.args.get("offset", 0, int)))

    @pages.get("/summary")
    def summarise() -> Response:
        fired = vendor.faults.shown()["fired"]
        calls = store.calls(vendor.name)
        return reply({**vendor.book.summary(), "calls": calls, "faults_fired": fired})

    return pages


def fault_pages(name: str, faults: FaultBoard) -> Blueprint:
    """A company that has faults and nothing else to steer."""
    pages = Blueprint(f"control_{name}", __name__, url_prefix=f"/control/{name}")
    steer_faults(pages, faults)
    return pages


def steer_faults(pages: Blueprint, faults: FaultBoard) -> None:
    @pages.get("/faults")
    def show_faults() -> Response:
        return reply(faults.shown())

    @pages.put("/faults")
    def replace_faults() -> Response:
        faults.replace(request.get_json(force=True))
        return reply(faults.shown())

    @pages.delete("/faults")
    def clear_faults() -> Response:
        faults.clear()
        return reply(faults.shown())


def steer_switches(pages: Blueprint, switches: Switchboard[Any]) -> None:
    @pages.get("/switches")
    def show_switches() -> Response:
        return reply(switches.shown())

    @pages.put("/switches")
    def replace_switches() -> Response:
        switches.replace(request.get_json(force=True))
        return reply(switches.shown())

    @pages.delete("/switches")
    def clear_switches() -> Response:
        switches.clear()
        return reply(switches.shown())


def _steer_account(pages: Blueprint, vendor: Vendor, store: Store) -> None:
    @pages.get("/balance")
    def show_balance() -> Response:
        return reply({"balance": str(vendor.book.balance())})

    @pages.put("/balance")
    def set_balance() -> Response:
        body = read_json(request.get_data())
        if not isinstance(body, dict) or not isinstance(body.get("balance"), int | Decimal | str):
            raise BadControl("balance must be a number")
        vendor.book.set_balance(Decimal(body["balance"]))
        return reply({"balance": str(vendor.book.balance())})

    @pages.delete("/tokens")
    def revoke_tokens() -> Response:
        return reply({"revoked": store.revoke_tokens(vendor.name)})
