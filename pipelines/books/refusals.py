"""Why a book or a coupon says no: the stable codes, and the words that people were promised."""

from datetime import datetime

from pipelines.errors import Kind, Refusal


class BookExhausted(Refusal):
    """The book has no coupon left that nobody has; `available` and `required` where they are known."""

    code = "book_exhausted"
    kind = Kind.CONFLICT
    detail = "The book has no coupons left. Generate or upload more, or choose another book."


class BookClosed(Refusal):
    """Whoever manages the book has closed it."""

    code = "book_closed"
    kind = Kind.CONFLICT
    detail = "The book is closed: its coupons are neither assigned nor redeemed any more."


class BookExpired(Refusal):
    """The time of the book is over."""

    code = "book_expired"
    kind = Kind.CONFLICT
    detail = "The book has expired: its coupons are neither assigned nor redeemed any more."


class BookNotStarted(Refusal):
    """The coupons of the book cannot be redeemed yet; `starts_at` says from when."""

    code = "book_not_started"
    kind = Kind.CONFLICT
    detail = "The book has not started: its coupons cannot be redeemed yet."

    def __init__(self, starts_at: datetime) -> None:
        super().__init__(extra={"starts_at": starts_at.isoformat()})


class RecipientInactive(Refusal):
    """The person's account is disabled."""

    code = "recipient_inactive"
    kind = Kind.CONFLICT
    detail = "The account of this person is disabled; nothing is assigned to it."


BEING_DRAWN = "A distribution is drawing this coupon. Wait for its end."


class CouponNotAvailable(Refusal):
    """Somebody has the coupon, or a distribution is drawing it."""

    code = "coupon_not_available"
    kind = Kind.CONFLICT
    detail = "Coupon not available"


class CouponLocked(Refusal):
    """The coupon is set aside; `locked_until` says until when."""

    code = "coupon_locked"
    kind = Kind.CONFLICT

    def __init__(self, locked_until: datetime | None, *, move: str = "redeem") -> None:
        until = locked_until.isoformat() if locked_until else None
        super().__init__(f"Cannot {move} LOCKED coupon", extra={"locked_until": until})


class AlreadyLocked(Refusal):
    """The coupon is set aside already; its time is not extended (EC-083)."""

    code = "already_locked"
    kind = Kind.CONFLICT
    detail = "Already locked"

    def __init__(self, locked_until: datetime | None) -> None:
        super().__init__(extra={"locked_until": locked_until.isoformat() if locked_until else None})


class TerminalState(Refusal):
    """A redeemed coupon stays as it is."""

    code = "terminal_state"
    kind = Kind.CONFLICT
    detail = "Terminal state"


class CouponVoid(Refusal):
    """The coupon was made worthless."""

    code = "coupon_void"
    kind = Kind.CONFLICT
    detail = "The coupon was withdrawn and is worth nothing."


class InvalidTransition(Refusal):
    """The state of the coupon does not allow this; `state` names it."""

    code = "invalid_transition"
    kind = Kind.CONFLICT

    def __init__(self, state: str, move: str) -> None:
        super().__init__(
            f"Invalid transition: a coupon that is {state} cannot be {move}.",
            extra={"state": str(state)},
        )


class CouponInUse(Refusal):
    """The coupon was redeemed once already and is its holder's."""

    code = "coupon_in_use"
    kind = Kind.CONFLICT
    detail = "The coupon was redeemed already and stays with its holder. It can be voided."


class ConcurrentRedemption(Refusal):
    """Another redemption of this coupon is under way."""

    code = "concurrent_redemption"
    kind = Kind.CONFLICT
    detail = "Concurrent redemption detected"


class UserLimitReached(Refusal):
    """The person has, or has redeemed, as many coupons of the book as its rules allow; `max` says how many."""

    code = "user_limit_reached"
    kind = Kind.CONFLICT

    def __init__(self, what: str, *, most: int, count: int | None = None) -> None:
        shown = f"({count if count is not None else most}/{most})"
        super().__init__(f"Maximum {what} exceeded {shown}", extra={"max": most})


class CouponLimitReached(Refusal):
    """The coupon was redeemed as often as it may be; `max` says how often."""

    code = "coupon_limit_reached"
    kind = Kind.CONFLICT

    def __init__(self, most: int) -> None:
        super().__init__(
            f"Maximum redemptions of this coupon exceeded ({most}/{most})", extra={"max": most}
        )


class BookLimitReached(Refusal):
    """The book as a whole has given, or redeemed, as many coupons as its rules allow."""

    code = "book_limit_reached"
    kind = Kind.CONFLICT

    def __init__(self, what: str, *, most: int) -> None:
        super().__init__(
            f"Maximum {what} of this book exceeded ({most}/{most})", extra={"max": most}
        )


class PatternSpaceTooSmall(Refusal):
    """Too few codes fit the pattern for as many as are asked for, or they are found by trying.

    `space` is how many fit, `needed` how many would have to; `TOLD_MAX` of either is so many or more.
    """

    code = "pattern_space_too_small"


class PatternRequired(Refusal):
    """The book has no pattern: its codes are uploaded."""

    code = "pattern_required"
    detail = "The book has no pattern to make codes of. Give it one, or upload codes."


class PreconditionFailed(Refusal):
    """The book was changed since the caller read it; `version` is the current one."""

    code = "precondition_failed"
    kind = Kind.STALE

    def __init__(self, *, current: int) -> None:
        super().__init__(
            "It was changed since you read it. Read it again and repeat your change.",
            extra={"version": current},
        )
