"""What every vendor of the sandbox brings along, so that the control pages fit them all."""

from dataclasses import dataclass
from typing import Any

from flask import Blueprint

from ops.sandbox.faults import FaultBoard
from ops.sandbox.orderbook import OrderBook
from ops.sandbox.switches import Switchboard


@dataclass(frozen=True, slots=True)
class Vendor:
    """A name, which is also the first part of its paths, its pages and what steers them."""

    name: str
    pages: Blueprint
    book: OrderBook
    faults: FaultBoard
    switches: Switchboard[Any]
