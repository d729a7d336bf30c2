"""How long a job will take, told before it begins: pools at their pace, vendors at their rate. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

#: What chunks of pool cards achieve at least.
POOL_ITEMS_PER_SECOND = 2_000
#: From a free place in the vendor's rate to the card in hand.
ORDER_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class VendorLoad:
    """What a job wants of one vendor account, and what already waits there.

    `ahead`: orders of others that wait now; `tokens`: calls that may start at once.
    """

    wanted: int
    ahead: int
    tokens: float
    calls_per_second: float


def vendor_seconds(load: VendorLoad) -> float:
    """Until the last of a job's orders is placed, if the vendor answers well.

    Jobs share a vendor fairly (decision 0017): while this one has orders left, each of its calls
    is followed by one of the others', as long as they have any.
    """
    if load.wanted <= 0:
        return 0.0
    calls = load.wanted + min(load.wanted, load.ahead)
    return max(0.0, calls - load.tokens) / load.calls_per_second + ORDER_SECONDS


def job_seconds(*, pool_items: int, vendors: Iterable[VendorLoad]) -> float:
    """The whole job: vendors work side by side, and while the pools are drawn on."""
    slowest = max((vendor_seconds(load) for load in vendors), default=0.0)
    return max(pool_items / POOL_ITEMS_PER_SECOND, slowest)
