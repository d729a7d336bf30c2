"""Several codes on one cart: which may be together, and what they take off: pure (EC-018).

Whatever the order in which they were applied, they are counted in one: percentages, then amounts, each
by the text of its code. A code is for what those before it have left of its lines; its minimum and its
tiers are asked of their prices: no other code takes a tier away.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pipelines.discounts.cart import Cart
from pipelines.discounts.pricing import Quote, quoted, shares_of
from pipelines.discounts.refusals import StackingNotAllowed
from pipelines.discounts.rules import DiscountKind, DiscountRules, discount_of, judged
from pipelines.errors import Refusal


@dataclass(frozen=True, slots=True)
class OnCart:
    """A code that a cart has or asks for; `now` is None where its time was judged before."""

    code: str
    rules: DiscountRules
    now: datetime | None = None
    is_first_order: bool = True
    #: A customer gives it to friends.
    is_referral: bool = False


@dataclass(frozen=True, slots=True)
class Stack:
    """What a cart costs with its codes, and what each of them takes off in minor units."""

    quote: Quote
    discounts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Unfit:
    """The first code that is not for the cart, and why."""

    code: str
    why: Refusal


def refuse_stacking(there: Sequence[OnCart], new: OnCart, *, most: int) -> Refusal | None:
    """Whether a cart that has these codes may not have the new one, too; at most so many in all."""
    others = sorted(one.code for one in there)
    if any(one.rules.stacking_group is None for one in there):
        return StackingNotAllowed("code_stacks_with_none", others[0])
    group = new.rules.stacking_group
    if group is None:
        return StackingNotAllowed("new_code_stacks_with_none", *others)
    brought = sorted(one.code for one in there if one.is_referral and new.is_referral)
    if brought:
        return StackingNotAllowed("two_referrals", brought[0])
    same = sorted(one.code for one in there if one.rules.stacking_group == group)
    if same:
        return StackingNotAllowed("same_group", same[0])
    return StackingNotAllowed("too_many_codes", *others) if len(there) >= most else None


def price_stack(codes: Sequence[OnCart], cart: Cart) -> Stack | Unfit:
    """What the cart costs with all of the codes, whose texts differ; or the first that is not for it.

    The lines sum to what each takes off; nothing falls below zero.
    """
    left = [line.gross_minor for line in cart.lines]
    discounts = dict[str, int]()
    for one in sorted(codes, key=_place):
        places = judged(one.rules, cart, one.now, is_first_order=one.is_first_order)
        if isinstance(places, Refusal):
            return Unfit(one.code, places)
        price = sum(cart.lines[place].gross_minor for place in places)
        base = sum(left[place] for place in places)
        shares = shares_of(left, discount_of(one.rules, base, price_minor=price), places)
        left = [rest - share for rest, share in zip(left, shares, strict=True)]
        discounts[one.code] = sum(shares)
    off = [line.gross_minor - rest for line, rest in zip(cart.lines, left, strict=True)]
    return Stack(quoted(cart, off), discounts)


def _place(one: OnCart) -> tuple[bool, str]:
    return one.rules.kind is not DiscountKind.PERCENT, one.code
