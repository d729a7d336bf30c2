"""Whether a code is good for a cart, and what it takes off: plain decisions on plain values (EC-020)."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pipelines.discounts.cart import Cart, eligible
from pipelines.discounts.pricing import Quote, percent_of, quote
from pipelines.discounts.refusals import (
    CodeExpired,
    CodeNotStarted,
    CurrencyMismatch,
    MinOrderNotMet,
    NoEligibleItems,
    NotFirstOrder,
)
from pipelines.discounts.tiers import Tier, tier_reached
from pipelines.errors import Refusal


class DiscountKind(StrEnum):
    PERCENT = "percent"
    FIXED = "fixed"


@dataclass(frozen=True, slots=True)
class DiscountRules:
    """One version of what a code does; amounts in minor units of `currency`.

    A currency of None is any: of a percentage without amounts of its own.
    """

    kind: DiscountKind
    percent_bp: int | None = None
    amount_minor: int | None = None
    currency: str | None = None
    max_discount_minor: int | None = None
    min_subtotal_minor: int | None = None
    #: SKUs that the code is for; None: all.
    products: tuple[str, ...] | None = None
    first_order_only: bool = False
    #: Codes whose groups differ may be on one cart; None: with no other code (EC-018).
    stacking_group: str | None = None
    starts_at: datetime | None = None
    expires_at: datetime | None = None
    #: In ascending order, each giving more than the one before and than the base; None: the base alone.
    tiers: tuple[Tier, ...] | None = None

    @property
    def given_by(self) -> str:
        """The name of what says how much, of the code itself and of its tiers."""
        return "percent_bp" if self.kind is DiscountKind.PERCENT else "amount_minor"


def refuse_window(rules: DiscountRules, now: datetime) -> Refusal | None:
    """From `starts_at` on, and before `expires_at` (EC-010, EC-012)."""
    if rules.starts_at is not None and now < rules.starts_at:
        return CodeNotStarted(rules.starts_at)
    if rules.expires_at is not None and now >= rules.expires_at:
        return CodeExpired()
    return None


def price(
    rules: DiscountRules, cart: Cart, now: datetime | None, *, is_first_order: bool
) -> Quote | Refusal:
    """What the cart costs with the code alone, or the first rule that says no; `now` as of `judged`."""
    places = judged(rules, cart, now, is_first_order=is_first_order)
    if isinstance(places, Refusal):
        return places
    base = sum(cart.lines[place].gross_minor for place in places)
    return quote(cart, discount_of(rules, base, price_minor=base), places)


def judged(
    rules: DiscountRules, cart: Cart, now: datetime | None, *, is_first_order: bool
) -> list[int] | Refusal:
    """Which lines of the cart the code is for, by their places, or the first rule that says no.

    The minimum is asked of what the code is for, as it is priced. Without `now` nobody asks whether it
    is the code's time: that was judged when the slot was reserved (EC-010).
    """
    window = None if now is None else refuse_window(rules, now)
    if window is not None:
        return window
    if rules.currency is not None and rules.currency != cart.currency:
        return CurrencyMismatch(rules.currency, cart.currency)
    places = eligible(cart, rules.products)
    if not places:
        return NoEligibleItems()
    base = sum(cart.lines[place].gross_minor for place in places)
    if rules.min_subtotal_minor is not None and base < rules.min_subtotal_minor:
        return MinOrderNotMet(rules.min_subtotal_minor, base, cart.currency)
    if rules.first_order_only and not is_first_order:
        return NotFirstOrder()
    return places


def discount_of(rules: DiscountRules, base_minor: int, *, price_minor: int) -> int:
    """What the code takes off what is left of its lines, by the highest tier that their price reaches.

    Never more than all that is left.
    """
    tier = tier_reached(rules.tiers, price_minor)
    given = getattr(rules, rules.given_by) if tier is None else tier.gives(rules.given_by)
    assert given is not None, "a discount and each of its tiers says how much"
    wanted: int = percent_of(base_minor, given) if rules.kind is DiscountKind.PERCENT else given
    if rules.max_discount_minor is not None:
        wanted = min(wanted, rules.max_discount_minor)
    return min(wanted, base_minor)
