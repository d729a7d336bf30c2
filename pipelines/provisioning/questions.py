"""How recovery asks after an order: the vendor's documented way, never a second purchase; pure."""

from enum import StrEnum

from models.cards import OrderState
from pipelines.provisioning.orders import OrderInHand

#: An unclear order is sent this many times in all where a repeat is safe; then only looked up.
SAFE_SENDS_MAX = 5


class Question(StrEnum):
    """By the vendor's id, by sending the same reference again, or by looking it up."""

    POLL = "poll"
    RESEND = "resend"
    LOOK_UP = "look_up"


def next_question(order: OrderInHand, *, resend_is_safe: bool, may_buy: bool) -> Question:
    """What recovery asks now.

    `may_buy`: a repeat buys what was never bought, so a job that stops or pauses only looks up.
    """
    if order.state is OrderState.ACCEPTED and order.vendor_order_id is not None:
        return Question.POLL
    is_unclear = order.state is OrderState.UNKNOWN
    if resend_is_safe and may_buy and is_unclear and order.sends < SAFE_SENDS_MAX:
        return Question.RESEND
    return Question.LOOK_UP
