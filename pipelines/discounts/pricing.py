"""What a cart costs with a discount, to the minor unit: pure, in integers (EC-019, EC-021, EC-032)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.discounts.cart import Cart

#: A whole in basis points.
WHOLE_BP = 10_000


@dataclass(frozen=True, slots=True)
class QuotedLine:
    """One line in minor units; `net_minor` is what is left of its price to pay."""

    sku: str
    quantity: int
    gross_minor: int
    discount_minor: int
    tax_bp: int
    tax_minor: int
    name: str = ""

    @property
    def net_minor(self) -> int:
        return self.gross_minor - self.discount_minor

    def as_json(self) -> dict[str, Any]:
        return {
            "sku": self.sku,
            "name": self.name,
            "quantity": self.quantity,
            "gross_minor": self.gross_minor,
            "discount_minor": self.discount_minor,
            "net_minor": self.net_minor,
            "tax_bp": self.tax_bp,
            "tax_minor": self.tax_minor,
        }


@dataclass(frozen=True, slots=True)
class Quote:
    """What a cart costs, in minor units of its currency."""

    currency: str
    lines: tuple[QuotedLine, ...]
    includes_tax: bool

    @property
    def subtotal_minor(self) -> int:
        return sum(line.gross_minor for line in self.lines)

    @property
    def discount_minor(self) -> int:
        return sum(line.discount_minor for line in self.lines)

    @property
    def tax_minor(self) -> int:
        return sum(line.tax_minor for line in self.lines)

    @property
    def total_minor(self) -> int:
        """What is paid: tax that is not in the prices is added to them."""
        left = self.subtotal_minor - self.discount_minor
        return left if self.includes_tax else left + self.tax_minor

    def as_json(self) -> dict[str, Any]:
        return {
            "currency": self.currency,
            "subtotal_minor": self.subtotal_minor,
            "discount_minor": self.discount_minor,
            "tax_minor": self.tax_minor,
            "includes_tax": self.includes_tax,
            "total_minor": self.total_minor,
            "lines": [line.as_json() for line in self.lines],
        }


def percent_of(amount_minor: int, basis_points: int) -> int:
    """So many hundredths of a percent, a half rounded up."""
    return (amount_minor * basis_points + WHOLE_BP // 2) // WHOLE_BP


def allocate(amount_minor: int, weights: Sequence[int]) -> list[int]:
    """An amount over lines by their weights: the largest remainders first, then the first line.

    The shares sum to the amount; none is above its weight while the amount is not above them all.
    """
    whole = sum(weights)
    if whole == 0:
        return [0] * len(weights)
    shares = [amount_minor * weight // whole for weight in weights]
    remainders = [amount_minor * weight % whole for weight in weights]
    order = sorted(range(len(weights)), key=lambda place: (-remainders[place], place))
    for place in order[: amount_minor - sum(shares)]:
        shares[place] += 1
    return shares


def shares_of(left_minor: Sequence[int], discount_minor: int, places: Sequence[int]) -> list[int]:
    """A discount over the lines at `places`, by what is left of each; never more than all of that."""
    weights = [0] * len(left_minor)
    for place in places:
        weights[place] = left_minor[place]
    return allocate(min(discount_minor, sum(weights)), weights)


def quote(cart: Cart, discount_minor: int, places: Sequence[int]) -> Quote:
    """The cart with this discount on the lines at `places`; never more than they cost."""
    prices = [line.gross_minor for line in cart.lines]
    return quoted(cart, shares_of(prices, discount_minor, places))


def quoted(cart: Cart, discounts_minor: Sequence[int]) -> Quote:
    """The cart with so much off each line, which lowers what is taxed of it."""
    lines = tuple(
        QuotedLine(
            line.sku,
            line.quantity,
            line.gross_minor,
            share,
            line.tax_bp,
            tax_of(line.gross_minor - share, line.tax_bp, is_included=cart.includes_tax),
            line.name,
        )
        for line, share in zip(cart.lines, discounts_minor, strict=True)
    )
    return Quote(cart.currency, lines, cart.includes_tax)


def tax_of(net_minor: int, tax_bp: int, *, is_included: bool) -> int:
    """The tax of one line, a half rounded up: within the amount, or on top of it."""
    if not is_included:
        return percent_of(net_minor, tax_bp)
    divisor = WHOLE_BP + tax_bp
    return (2 * net_minor * tax_bp + divisor) // (2 * divisor)
