"""The ways in which credit says no."""

from pipelines.errors import Kind, Refusal


class InsufficientCredit(Refusal):
    """The account's available credit does not cover what was asked; nothing was written."""

    code = "insufficient_credit"
    kind = Kind.PAYMENT
    detail = "There is not enough credit. Ask for an allocation, or send fewer recipients."

    def __init__(self, *, required_minor: int, available_minor: int, held_minor: int) -> None:
        super().__init__(
            extra={
                "required_minor": required_minor,
                "available_minor": available_minor,
                "held_by_jobs_minor": held_minor,
            }
        )


class AllocationDirection(Refusal):
    """Credit moves from a parent account to its direct child; a recall takes it back."""

    code = "allocation_direction"
    detail = "Credit is allocated from a parent account to its direct child only."


class CurrencyMismatch(Refusal):
    """Both sides of a movement must have the same currency."""

    code = "currency_mismatch"
    detail = "The two accounts have different currencies."


class MovementNameUsed(Refusal):
    """The caller's name for this movement belongs to another one."""

    code = "idempotency_key_reuse"
    detail = "This name was used for a different movement of credit. Use a new one."


class NoCreditAccount(Refusal):
    """The campaign's payer has no account in the card's currency."""

    code = "insufficient_credit"
    kind = Kind.PAYMENT
    detail = "There is no credit account in this currency. Ask for an allocation in it."
