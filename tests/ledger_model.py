"""What the books ought to say, in plain numbers: the model that the ledger machine holds them against."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from pipelines.credit.refusals import (
    AccountRestricted,
    AlreadyReversed,
    BeyondTopUp,
    ClawedBack,
    InsufficientCredit,
    NotDisputable,
    NotReversible,
)
from pipelines.errors import Refusal

#: The tree of one client, from the top.
TIERS = ("platform", "agency", "client", "campaign")
FILLS = {"top_up", "allocation", "adjustment"}
Refused = type[Refusal] | None


@dataclass(slots=True)
class Debt:
    """What is still owed of one disputed movement, which came from `source`."""

    receivable_id: UUID
    source: str
    owed: int


@dataclass(slots=True)
class Book:
    """One account; amounts in minor units."""

    balance: int = 0
    held: int = 0
    spent: int = 0
    debts: list[Debt] = field(default_factory=list)

    @property
    def available(self) -> int:
        return self.balance - self.held

    @property
    def owed(self) -> int:
        return sum(debt.owed for debt in self.debts)

    @property
    def open_debts(self) -> list[Debt]:
        return [debt for debt in self.debts if debt.owed]


@dataclass(slots=True)
class Move:
    """A movement between accounts, and what was said about it since."""

    transfer_id: UUID
    kind: str
    source: str
    target: str
    amount: int
    is_reversed: bool = False
    claimed: int = 0


@dataclass(frozen=True, slots=True)
class Open:
    """A hold as the model knows it: who pays, and what is left of it."""

    job_id: UUID
    who: str
    left: int


@dataclass(slots=True)
class Books:
    """The tree and the outside; whoever moves credit says so here too."""

    by: dict[str, Book] = field(
        default_factory=lambda: {name: Book() for name in (*TIERS, "outside")}
    )
    is_isolated: bool = False

    def shift(self, source: str, target: str, amount: int) -> None:
        self.by[source].balance -= amount
        self.by[target].balance += amount

    def leaving(self, source: str, amount: int) -> Refused:
        """Why credit may not be allocated or recalled out of an account."""
        if self.by[source].owed:
            return AccountRestricted
        return self.taken_from(source, amount)

    def taken_from(self, source: str, amount: int) -> Refused:
        """Why two people may not take it out."""
        enough = source == "outside" or amount <= self.by[source].available
        return None if enough else InsufficientCredit

    def reversing(self, move: Move) -> Refused:
        if move.kind not in FILLS | {"recall"}:
            return NotReversible
        if move.is_reversed:
            return AlreadyReversed
        return ClawedBack if move.claimed else self.taken_from(move.target, move.amount)

    def disputing(self, move: Move, amount: int) -> Refused:
        if move.kind not in FILLS or move.target == "outside":
            return NotDisputable
        if move.is_reversed:
            return AlreadyReversed
        return BeyondTopUp if move.claimed + amount > move.amount else None

    def dispute(self, receivable_id: UUID, move: Move, amount: int) -> None:
        move.claimed += amount
        self.by[move.target].debts.append(Debt(receivable_id, move.source, amount))
        self.pay(move.target, self.by[move.target].debts[-1])

    def pay(self, who: str, debt: Debt) -> int:
        """Free credit pays a debt; how much of it."""
        paid = min(debt.owed, max(0, self.by[who].available))
        self.shift(who, debt.source, paid)
        debt.owed -= paid
        return paid


@contextmanager
def answers(refused: Refused) -> Iterator[None]:
    """What is done here is refused just so, or it is done."""
    if refused is None:
        yield
        return
    with pytest.raises(refused):
        yield
