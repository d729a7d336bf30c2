"""Stripe's switches: how it behaves while nothing is wrong."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Switches:
    """How Stripe behaves while nothing is wrong; unverified behaviour can be had both ways."""

    #: The account's clock is so far ahead: sessions end, keys are forgotten.
    clock_ahead_seconds: float = 0.0
    #: A call that changes something takes this long, and its Idempotency-Key is in use.
    latency_seconds: float = 0.0
    #: What a session without anything to pay says once it is complete.
    zero_payment_status: str = "no_payment_required"
    #: A refund of a card is `succeeded` at once, or `pending` first.
    refund_status: str = "succeeded"
    #: Events tell a total that is off by this, or another currency (EC-049).
    event_amount_off: int = 0
    event_currency: str = ""
    #: And so does the session itself when it is asked for.
    shown_amount_off: int = 0
    #: So many events are on their way at once; with 1 they come in the order they were made.
    deliveries_at_once: int = 1
    #: How long an endpoint may take to answer.
    delivery_seconds: float = 10.0
    #: Signatures say that they are so old.
    signature_age_seconds: float = 0.0
