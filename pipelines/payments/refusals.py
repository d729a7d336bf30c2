"""Why a payment is not begun or changed: the stable codes, and words that say what to do."""

from uuid import UUID

from pipelines.currencies import money
from pipelines.errors import Kind, Refusal


class BelowMinimumCharge(Refusal):
    """Less than the payment company takes, and more than nothing (EC-019)."""

    code = "below_minimum_charge"

    def __init__(self, least_minor: int, actual_minor: int, currency: str) -> None:
        least, actual = money(least_minor, currency), money(actual_minor, currency)
        super().__init__(
            f"The smallest payment is {least}, and this is {actual}. Add something to the cart.",
            extra={"minimum_minor": least_minor, "actual_minor": actual_minor},
        )


class AmountOutOfRange(Refusal):
    """More than the payment company takes at once."""

    code = "amount_out_of_range"
    detail = "The payment is larger than can be taken at once. Split the purchase."


class InvalidPrecision(Refusal):
    """Part of what can be paid in this currency (EC-053)."""

    code = "invalid_precision"

    def __init__(self, minor: int, currency: str) -> None:
        super().__init__(
            f"{money(minor, currency)} cannot be paid to the last digit: the payment company "
            f"counts {currency} in larger steps. Round the prices of the cart."
        )


class PaymentProviderUnavailable(Refusal):
    """The payment company gives no answer; nothing is lost, and the same may be asked again (EC-034)."""

    code = "payment_provider_unavailable"
    kind = Kind.BUSY
    detail = "The payment company does not answer. Nothing was paid; send the same request again."

    def __init__(self) -> None:
        super().__init__(retry_after_seconds=5)


class PaymentsNotSetUp(Refusal):
    """There is no account to be paid to."""

    code = "payments_not_set_up"
    kind = Kind.BUSY
    detail = "Payments are not set up here: an operator sets STRIPE_API_KEY."


class PaymentRefused(Refusal):
    """The payment company does not make a page for this; `reason` is its code."""

    code = "payment_refused"
    kind = Kind.CONFLICT

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The payment company makes no payment page of this: {reason}.",
            extra={"reason": reason},
        )


class PaymentEnded(Refusal):
    """The payment is over; `state` says how."""

    code = "payment_ended"
    kind = Kind.CONFLICT

    def __init__(self, payment_id: UUID, state: str) -> None:
        super().__init__(
            f"This payment is {state} already.",
            extra={"payment_id": str(payment_id), "state": state},
        )


class NothingToRefund(Refusal):
    """Nothing is paid, or not so much is left of it; amounts in minor units."""

    code = "nothing_to_refund"
    kind = Kind.CONFLICT

    def __init__(self, left_minor: int) -> None:
        super().__init__(
            "Not so much can be paid back.", extra={"refundable_minor": max(0, left_minor)}
        )
