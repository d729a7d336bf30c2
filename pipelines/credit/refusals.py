"""The ways in which credit says no."""

from typing import Self
from uuid import UUID

from pipelines.errors import Kind, Refusal


class InsufficientCredit(Refusal):
    """The account's available credit does not cover what was asked; nothing was written."""

    code = "insufficient_credit"
    kind = Kind.PAYMENT
    detail = "There is not enough credit. Ask for an allocation, or send fewer recipients."

    def __init__(
        self,
        detail: str | None = None,
        *,
        required_minor: int,
        available_minor: int,
        held_minor: int,
    ) -> None:
        super().__init__(
            detail,
            extra={
                "required_minor": required_minor,
                "available_minor": available_minor,
                "held_by_jobs_minor": held_minor,
            },
        )

    @classmethod
    def to_move(cls, amount: int, *, balance: int, held: int, is_back: bool) -> Self:
        """Too little to be moved from an account: down the tree, or `is_back`, taken from there."""
        most = max(0, balance - held)
        if is_back:
            way = f"Take back {most} at most." if most else "There is nothing to take back now."
        else:
            way = (
                f"Move {most} at most, or give it credit first."
                if most
                else "Give it credit first."
            )
        have = (
            f"The account has {most} (minor units) that no job holds, {amount - most} too little."
        )
        return cls(
            f"{have} {way}",
            required_minor=amount,
            available_minor=balance - held,
            held_minor=held,
        )


class AccountFrozen(Refusal):
    """The account's numbers do not agree with its movements: nothing moves until that is decided."""

    code = "account_frozen"
    kind = Kind.FROZEN
    detail = (
        "This account is frozen: its balance does not agree with its movements. "
        "The platform has been told; ask it to look at the alert `ledger_drift`."
    )


class AccountRestricted(Refusal):
    """The account owes for a top-up that was taken back: nothing new is paid from it (EC-077)."""

    code = "account_restricted"
    kind = Kind.FROZEN
    detail = (
        "This account owes for a top-up that was refunded or disputed after it was spent. "
        "Credit that is allocated to it pays that first; then all goes on."
    )

    def __init__(
        self, *, account_id: UUID | None = None, owed_minor: int = 0, currency: str = ""
    ) -> None:
        said = {"account_id": str(account_id), "owed_minor": owed_minor, "currency": currency}
        super().__init__(extra=said if account_id is not None else None)


class NotDisputable(Refusal):
    """Only credit that came in can be taken back."""

    code = "not_disputable"
    kind = Kind.CONFLICT
    detail = (
        "Only top-ups, allocations, adjustments and openings that brought credit into an account "
        "are clawed back. Name the transfer that brought it."
    )


class BeyondTopUp(Refusal):
    """Disputes of one transfer claim no more than it brought."""

    code = "beyond_top_up"
    kind = Kind.CONFLICT

    def __init__(self, *, amount_minor: int, claimed_minor: int) -> None:
        super().__init__(
            "The disputes of this transfer would claim more than it brought. Correct the amount.",
            extra={"transfer_minor": amount_minor, "claimed_minor": claimed_minor},
        )


class DisputeNameUsed(Refusal):
    """The dispute's name belongs to another claim."""

    code = "dispute_id_reuse"
    kind = Kind.CONFLICT
    detail = (
        "A dispute of this name was clawed back already. Read the account's receivables, "
        "or name the other dispute."
    )


class ClawedBack(Refusal):
    """The transfer was disputed: what is left to take back is taken by its receivable."""

    code = "clawed_back"
    kind = Kind.CONFLICT
    detail = "This transfer was disputed and clawed back. Adjust the account if more is wrong."


class OwesLess(Refusal):
    """No more is written off than is owed."""

    code = "owes_less"
    kind = Kind.CONFLICT

    def __init__(self, *, owed_minor: int) -> None:
        super().__init__(
            "Less is owed than would be written off. Read the receivable, and ask anew.",
            extra={"owed_minor": owed_minor},
        )


class NotFrozen(Refusal):
    """There is nothing to unfreeze."""

    code = "not_frozen"
    kind = Kind.CONFLICT
    detail = "This account is not frozen. Read it again."


class DriftChanged(Refusal):
    """The account differs from its ledger by something else than what was agreed to."""

    code = "drift_changed"
    kind = Kind.CONFLICT
    detail = (
        "The account differs from its movements by another amount now. Reject this, and ask anew."
    )


class NotReversible(Refusal):
    """Only movements of credit between accounts are reversed."""

    code = "not_reversible"
    kind = Kind.CONFLICT
    detail = (
        "Only top-ups, allocations, recalls, adjustments and openings are reversed. "
        "Undo the job to take back what cards cost."
    )


class AlreadyReversed(Refusal):
    """A transfer is reversed once (EC-073)."""

    code = "already_reversed"
    kind = Kind.CONFLICT
    detail = "This transfer was reversed before. Make an adjustment if more has to be corrected."


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
