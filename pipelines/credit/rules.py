"""Which way credit may move between two accounts (S4-026..028), and how much by one: pure."""

from dataclasses import dataclass
from uuid import UUID

from models.ledger import AccountKind
from pipelines.credit.refusals import AllocationDirection, CurrencyMismatch
from pipelines.errors import Refusal


@dataclass(frozen=True, slots=True)
class Side:
    """What the rules need to know of one account."""

    account_id: UUID
    kind: AccountKind
    parent_id: UUID | None
    currency: str


def allocation_refusal(*, source: Side, target: Side) -> Refusal | None:
    """Why an allocation from `source` to `target` may not be, or None: DOWN, one tier, one
    currency.
    """
    if source.kind is not AccountKind.CREDIT or target.kind is not AccountKind.CREDIT:
        return AllocationDirection()
    if target.parent_id != source.account_id:
        return AllocationDirection()
    if source.currency != target.currency:
        return CurrencyMismatch()
    return None


def recall_refusal(*, parent: Side, child: Side) -> Refusal | None:
    """Why `parent` may not take unused credit back from `child`, or None."""
    return allocation_refusal(source=parent, target=child)


def reaches(limit_minor: int, *, amount: int, moved: int) -> bool:
    """Whether a movement reaches a limit together with what its mover moved before (SEC-31)."""
    return moved + amount >= limit_minor
