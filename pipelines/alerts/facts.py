"""What is told with an alert, as people read it: pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.currencies import is_accepted, money

#: How an amount in minor units is named; its currency stands beside it.
MINOR = "_minor"
CURRENCY = "currency"


def facts_of(detail: Mapping[str, Any]) -> Iterator[str]:
    """`balance $20.00`, `items 1,200`: each fact in words.

    Amounts say their currency, which is no fact of its own then; without one they stay minor units.
    """
    currency = str(detail.get(CURRENCY))
    sums = {name for name, value in detail.items() if _is_sum(name, value)}
    if not is_accepted(currency):
        sums = set()
    for name, value in detail.items():
        if name in sums:
            yield f"{_words(name.removesuffix(MINOR))} {money(value, currency)}"
        elif value is not None and not (sums and name == CURRENCY):
            yield (
                f"{_words(name)} {value:,}" if isinstance(value, int) else f"{_words(name)} {value}"
            )


def _is_sum(name: str, value: Any) -> bool:
    return name.endswith(MINOR) and isinstance(value, int)


def _words(name: str) -> str:
    return name.replace("_", " ")
