"""What the contract's tests know of one vendor: how to reach it, what to buy, how to steer it.

A vendor is put on the bench in `benches.py`, with one entry. The adapter is made from its settings
as the product makes it; the settings lead to the sandbox, or to the vendor's own with
`make conformance VENDOR=…`.
"""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from ops.sandbox.marks import WRONG_SECRET
from ops.surroundings import sandbox_vendors
from pipelines.limits import DEFAULTS, Limits
from pipelines.providers.ports import Balance, OrderRequest, Provider, Succeeded
from pipelines.providers.vendors import VENDORS
from pipelines.vendor_settings import KINDS, read_one
from tests import canary
from tests.vendor import Sandbox

LIMITS = replace(
    DEFAULTS,
    reloadly_order_deadline_seconds=10.0,
    vendor_order_deadline_seconds=10.0,
    vendor_lookup_deadline_seconds=10.0,
)
#: For the one call that shall not wait for its answer.
HASTY = replace(LIMITS, reloadly_order_deadline_seconds=0.4, vendor_order_deadline_seconds=0.4)
#: What is bought at a vendor's own sandbox.
PRODUCT, AMOUNT, CURRENCY = (
    "CONFORMANCE_PRODUCT",
    "CONFORMANCE_AMOUNT_MINOR",
    "CONFORMANCE_CURRENCY",
)


@dataclass(frozen=True, slots=True)
class Goods:
    """One card that the vendor sells, amounts in minor units; cost as its sandbox charges it."""

    product: str
    face_value_minor: int
    currency: str
    cost: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True)
class Habits:
    """What tells this vendor from the others, as far as the contract lets it differ.

    `unsold` is a product it does not have, `bad_amount_minor` one it does not sell. `dead_ends` are
    parameters of the sandbox's fault `processing` under which an accepted order ends without card.
    """

    goods: Goods
    unsold: str
    bad_amount_minor: int
    funds: Balance
    #: A vendor may have one refusal for "not this card" and "not at this value".
    bad_amount_code: str = "invalid_amount"
    order_call: str = "POST /orders"
    dead_ends: tuple[Mapping[str, Any], ...] = ()
    #: Parameters of the fault `wrong_value`, which then sells a card of another value.
    wrong_value: Mapping[str, Any] = field(default_factory=dict)
    #: Without funds the order is queued and the card owed, where others refuse.
    queues_without_funds: bool = False
    throttle_default_seconds: float = 5.0


class Steering:
    """The switches of one vendor in the sandbox, and what it really did."""

    def __init__(self, sandbox: Sandbox, vendor: str, order_call: str) -> None:
        self._sandbox = sandbox
        self._vendor = vendor
        self._order_call = order_call

    def arm(self, **faults: Any) -> None:
        self._sandbox.arm(vendor=self._vendor, **faults)

    def switch(self, **switches: Any) -> None:
        self._sandbox.switch(vendor=self._vendor, **switches)

    def set_balance(self, amount: str) -> None:
        self._sandbox.control("PUT", f"/{self._vendor}/balance", {"balance": amount})

    def references(self) -> list[str]:
        """Whose orders were executed."""
        return self._sandbox.references(vendor=self._vendor)

    def orders_asked(self) -> int:
        """How many order calls arrived, executed or not."""
        return self._sandbox.calls(self._order_call, vendor=self._vendor)


@dataclass(frozen=True, slots=True)
class Bench:
    """One vendor under test; `steering` is None at the vendor's own sandbox."""

    vendor: str
    habits: Habits
    goods: Goods
    settings: Any
    steering: Steering | None = None

    def adapter(self, *, limits: Limits | None = None, **changes: Any) -> Provider:
        """The adapter as the product makes it, with changes to its settings."""
        limits = limits or (LIMITS if self.steering else DEFAULTS)
        return VENDORS[self.vendor].make(replace(self.settings, **changes), limits)

    def stranger(self) -> Provider:
        """An adapter whose secret is wrong."""
        secrets = [one.name for one in fields(self.settings) if not one.repr]
        return self.adapter(**dict.fromkeys(secrets, WRONG_SECRET))

    def order(self, **changes: Any) -> OrderRequest:
        """A request under a reference that nobody has used."""
        goods, now = self.goods, datetime.now(UTC)
        request = OrderRequest(
            uuid4().hex, goods.product, goods.face_value_minor, goods.currency, now
        )
        return replace(request, **changes)

    def steered(self) -> Steering:
        """The sandbox's switches; a test that needs them is skipped where there are none."""
        if self.steering is None:
            pytest.skip("the vendor's own sandbox has no switches")
        return self.steering

    def is_right(self, outcome: object) -> bool:
        """Whether the card is in hand, with the value that was asked for and at its known cost."""
        if not isinstance(outcome, Succeeded):
            return False
        value = (outcome.face_value_minor, outcome.currency)
        cost = (outcome.cost_minor, outcome.cost_currency)
        return (
            value == (self.goods.face_value_minor, self.goods.currency)
            and self.goods.cost in {None, cost}
            and bool(outcome.vendor_order_id and outcome.card.card_number)
        )


def sandbox_bench(vendor: str, habits: Habits, sandbox: Sandbox) -> Bench:
    """The vendor as our sandbox plays it."""
    settings = read_one(KINDS[vendor], sandbox_vendors(sandbox.url, secret=canary.MARK), [])
    steering = Steering(sandbox, vendor, habits.order_call)
    return Bench(vendor, habits, habits.goods, settings, steering)


def real_bench(vendor: str, habits: Habits) -> Bench:
    """The vendor's own sandbox, by the variables in the environment; skips while one is missing."""
    faults: list[str] = []
    settings = read_one(KINDS[vendor], os.environ, faults)
    if settings is None:
        pytest.skip(" ".join(faults) or f"Set the variables of {vendor} (docs/vendors.md).")
    said = [os.environ.get(name, "") for name in (PRODUCT, AMOUNT, CURRENCY)]
    if not all(said):
        pytest.skip(f"Set {PRODUCT}, {AMOUNT} and {CURRENCY}: what may be bought there.")
    return Bench(vendor, habits, Goods(said[0], int(said[1]), said[2]), settings)


def nobody_there() -> str:
    """An address where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return f"http://127.0.0.1:{probe.getsockname()[1]}"
