"""Why a discount code says no: the stable codes, and words that say what to do (EC-001..EC-020)."""

from datetime import datetime
from uuid import UUID

from pipelines.currencies import money
from pipelines.errors import Kind, NotFound, Refusal


class CodeInvalid(NotFound):
    """Unknown, another client's, somebody else's: one answer for all of them."""

    code = "code_invalid"
    detail = "This code is not valid."

    def __init__(self, anothers: UUID | None = None) -> None:
        """`anothers` is the assigned code that somebody else tried, which no answer tells (EC-017)."""
        super().__init__()
        self.anothers = anothers


class CodeInactive(Refusal):
    """Whoever manages the code has paused it, or put it away."""

    code = "code_inactive"
    kind = Kind.CONFLICT
    detail = "The code is not active. Who runs it has paused it or put it away."


class CodeNotStarted(Refusal):
    """The code is not good yet; `starts_at` says from when."""

    code = "code_not_started"
    kind = Kind.CONFLICT
    detail = "The code is not good yet."

    def __init__(self, starts_at: datetime) -> None:
        super().__init__(extra={"starts_at": starts_at.isoformat()})


class CodeExpired(Refusal):
    """The time of the code is over."""

    code = "code_expired"
    kind = Kind.GONE
    detail = "The code has expired."


class SlotExhausted(Refusal):
    """As many customers as the code is for have it, or are about to pay with it."""

    code = "slot_exhausted"
    kind = Kind.CONFLICT
    detail = "The code has been used as often as it may be."


class AlreadyReserved(Refusal):
    """The customer has the code in another cart; `expires_at` says until when."""

    code = "already_reserved"
    kind = Kind.CONFLICT
    detail = "This customer is about to pay with the code in another cart. Wait, or release it."

    def __init__(self, reservation_id: UUID, expires_at: datetime) -> None:
        told = {"reservation_id": str(reservation_id), "expires_at": expires_at.isoformat()}
        super().__init__(extra=told)


class AlreadyUsed(Refusal):
    """The customer has used the code as often as one person may."""

    code = "already_used"
    kind = Kind.CONFLICT
    detail = "This customer has used the code as often as one person may."


class OwnReferral(Refusal):
    """The code is the customer's own, for friends of theirs."""

    code = "own_referral"
    kind = Kind.CONFLICT
    detail = "This customer gives the code to friends, and cannot use it."


_NO_STACK = {
    "code_stacks_with_none": "The cart has {}, which goes with no other code. Release it first.",
    "new_code_stacks_with_none": "The cart has {}, and this code goes with no other. Release what it has first.",
    "same_group": "The cart has {}, and takes one code of its kind. Release that one first.",
    "two_referrals": "The cart has {}, and a friend is brought by one customer. Release that code first.",
    "too_many_codes": "The cart has as many codes as it may have: {}. Release one first.",
}


class StackingNotAllowed(Refusal):
    """The cart has other codes; `reason` says why the new one is not with them.

    The words name all that stand in its way, `discount_code` the first of them.
    """

    code = "stacking_not_allowed"
    kind = Kind.CONFLICT

    def __init__(self, reason: str, *in_the_way: str) -> None:
        extra = {"reason": reason, "discount_code": in_the_way[0]}
        *others, last = in_the_way
        named = f"{', '.join(others)} and {last}" if others else last
        super().__init__(_NO_STACK[reason].format(named), extra=extra)


class TooManyReservations(Refusal):
    """One person sets slots of many codes aside."""

    code = "too_many_reservations"
    kind = Kind.CONFLICT
    detail = "This customer has too many reservations. Pay, release one, or wait."


class CurrencyMismatch(Refusal):
    """The code is an amount in another currency than the cart's."""

    code = "currency_mismatch"

    def __init__(self, required: str, actual: str) -> None:
        super().__init__(
            f"The code is for purchases in {required}; the cart is in {actual}.",
            extra={"required": required, "actual": actual},
        )


class NoEligibleItems(Refusal):
    """Nothing in the cart is a product that the code is for."""

    code = "no_eligible_items"
    detail = "The code is for certain products, and the cart has none of them."


class MinOrderNotMet(Refusal):
    """What the code is for does not cost enough; amounts in minor units."""

    code = "min_order_not_met"

    def __init__(self, required_minor: int, actual_minor: int, currency: str) -> None:
        required, actual = money(required_minor, currency), money(actual_minor, currency)
        super().__init__(
            f"The code takes a purchase of {required}; what it is for costs {actual}.",
            extra={"required_minor": required_minor, "actual_minor": actual_minor},
        )


class NotFirstOrder(Refusal):
    """The code is for a first purchase, and the customer has bought before."""

    code = "not_first_order"
    detail = "The code is for a customer's first purchase, and this customer has bought before."


class CodeExists(Refusal):
    """The client has a code with this text."""

    code = "code_exists"
    kind = Kind.CONFLICT
    detail = "You have this code already, perhaps put away. Choose another text."


class LimitBelowUsage(Refusal):
    """The code has been used more often than the new limit; `used` says how often."""

    code = "limit_below_usage"
    kind = Kind.CONFLICT

    def __init__(self, used: int) -> None:
        super().__init__(
            f"The code is used or reserved {used} times; the limit cannot be below that.",
            extra={"used": used},
        )


#: How a reservation, or the payment of one, ended.
_ENDS = {
    "confirmed": "The reservation is paid already.",
    "succeeded": "The reservation is paid already.",
    "mismatched": "The reservation is paid already, with another amount.",
    "processing": "The reservation is being paid.",
    "refunded": "The reservation was paid, and paid back.",
}


class ReservationEnded(Refusal):
    """The reservation is settled; `state` says how, in the words of its payment if that is the reason."""

    code = "reservation_ended"
    kind = Kind.CONFLICT

    def __init__(self, state: str) -> None:
        detail = _ENDS.get(state, f"The reservation is {state} already.")
        super().__init__(detail, extra={"state": state})


class CartPaid(Refusal):
    """This very cart was paid, by another customer or with other codes; `purchase_id` says by which purchase."""

    code = "cart_paid"
    kind = Kind.CONFLICT
    detail = "This cart was paid already. Give a new purchase a new cart id."

    def __init__(self, purchase_id: UUID) -> None:
        super().__init__(extra={"purchase_id": str(purchase_id)})


class PaymentUnderWay(Refusal):
    """The cart is being paid by a way that takes days; it stays as it is until that is over."""

    code = "payment_under_way"
    kind = Kind.CONFLICT
    detail = "This cart is being paid. It cannot be changed or released until the payment is over."


class CodeBusy(Refusal):
    """The code or the cart changed again and again while it was looked at."""

    code = "busy_try_again"
    kind = Kind.BUSY
    detail = "Others change this code or cart at the moment. Try again."

    def __init__(self) -> None:
        super().__init__(retry_after_seconds=1)


class BatchArchived(Refusal):
    """All codes of the batch were put away, for good."""

    code = "batch_archived"
    kind = Kind.CONFLICT
    detail = "The batch was put away with its codes. Generate or import codes anew."


class CodeArchived(Refusal):
    """The code was put away, which is for good."""

    code = "code_archived"
    kind = Kind.CONFLICT
    detail = "The code was put away, which is for good. Make another one."


class CartChanged(Refusal):
    """A code is not for the cart as it is now; the reservation is released, whatever else it has.

    `reason` says why not, `discount_code` which code it is.
    """

    code = "cart_changed"
    kind = Kind.CONFLICT

    def __init__(self, why: Refusal, discount_code: str) -> None:
        super().__init__(
            f"The cart has changed, and {discount_code} is not for it any more: {why.detail}",
            extra={"reason": why.code, "discount_code": discount_code},
        )


class CodeNotOnCart(NotFound):
    """The reservation has no such code, or has it no more."""

    detail = "The reservation does not have this code."
