"""What a customer is about to buy, as a storefront sends it: pure values."""

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass

#: Of one cart: a payment page takes no more.
LINES_MAX = 100
QUANTITY_MAX = 10_000
#: Of one unit, and of a whole cart, in minor units: with as much tax on top JSON carries it exactly.
UNIT_MINOR_MAX = 10**11
SUBTOTAL_MINOR_MAX = 2**52 - 1
TAX_BP_MAX = 10_000
REFERENCE_CHARACTERS_MAX = 200
SKU_CHARACTERS_MAX = 100


@dataclass(frozen=True, slots=True)
class Line:
    """So many units of one product; `unit_minor` in minor units, the tax in basis points."""

    sku: str
    quantity: int
    unit_minor: int
    name: str = ""
    tax_bp: int = 0

    @property
    def gross_minor(self) -> int:
        return self.quantity * self.unit_minor


@dataclass(frozen=True, slots=True)
class Cart:
    """The lines of one purchase in one currency; `reference` is the storefront's own id of it."""

    reference: str
    currency: str
    lines: tuple[Line, ...]
    #: Whether prices have their tax in them.
    includes_tax: bool = False

    @property
    def subtotal_minor(self) -> int:
        return sum(line.gross_minor for line in self.lines)

    @property
    def digest(self) -> str:
        """Hex of what decides about price: another order of lines is another cart."""
        parts = [
            [line.sku, line.quantity, line.unit_minor, line.name, line.tax_bp]
            for line in self.lines
        ]
        told = json.dumps([self.currency, self.includes_tax, parts], separators=(",", ":"))
        return hashlib.sha256(told.encode()).hexdigest()


def eligible(cart: Cart, products: Collection[str] | None) -> list[int]:
    """Which lines a code is for, by their places: all of them, or those of its products."""
    return [
        place for place, line in enumerate(cart.lines) if products is None or line.sku in products
    ]
