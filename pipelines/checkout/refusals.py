"""Why a purchase is not begun: the stable codes, and words that say what to do."""

from pipelines.errors import Kind, Refusal


class ReservationExpired(Refusal):
    """The slot was kept until now."""

    code = "reservation_expired"
    kind = Kind.GONE
    detail = "The reservation's time is over. Apply the code again."


class CustomerMismatch(Refusal):
    """The reservation is another customer's."""

    code = "customer_mismatch"
    kind = Kind.CONFLICT
    detail = "The reservation was made for another customer. Apply the code for this one."


class CartMismatch(Refusal):
    """The reservation is another cart's."""

    code = "cart_mismatch"
    kind = Kind.CONFLICT
    detail = "The reservation was made for another cart. Apply the code to this one."


class NotFlagged(Refusal):
    """Nobody has to decide on it."""

    code = "not_flagged"
    kind = Kind.CONFLICT
    detail = "This use of a code is not flagged: there is nothing to decide."


class AlreadyDecided(Refusal):
    """Somebody was quicker, and decided otherwise; `decision` says how."""

    code = "already_decided"
    kind = Kind.CONFLICT

    def __init__(self, decision: str) -> None:
        super().__init__(f"This use of a code is {decision} already.", extra={"decision": decision})
