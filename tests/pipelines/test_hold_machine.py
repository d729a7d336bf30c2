"""Holds, captures, voids, unknowns, cancels and movements in any order: the books always agree."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
    run_state_machine_as_test,
)

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.scope import PLATFORM, client
from pipelines.credit.allocate import allocate, recall
from pipelines.credit.hold import capture_and_void, payer_of, place_hold
from pipelines.credit.refusals import InsufficientCredit
from pipelines.wiring import House
from tests.driving import rows
from tests.proof import violations
from tests.seeding import ACTOR, seed

START = 10_000
AMOUNTS = st.integers(min_value=1, max_value=6_000)


@dataclass(frozen=True, slots=True)
class Open:
    """A hold as the model knows it; of what is left, `unknown` waits for a vendor's word."""

    job_id: UUID
    left: int
    unknown: int = 0

    @property
    def free(self) -> int:
        return self.left - self.unknown


class Books(RuleBasedStateMachine):
    """The model is four numbers; the database must always agree with them."""

    house: ClassVar[House]
    holds = Bundle("holds")

    def __init__(self) -> None:
        super().__init__()
        self.seeded = seed(self.house, credit_minor=START, vendor=False)
        self.agency, self.balance, self.held, self.spent = 0, START, 0, 0

    @rule(target=holds, amount=AMOUNTS)
    def hold(self, amount: int) -> Open:
        opened = Open(new_id(), amount)
        enough = self.balance - self.held >= amount
        try:
            with scoped_transaction(self.house.sessions, client(self.seeded.client_id)) as session:
                payer = payer_of(session, self.seeded.campaign_id, "USD")
                place_hold(session, payer, job_id=opened.job_id, round_number=1, amount=amount)
        except InsufficientCredit:
            assert not enough
            return Open(opened.job_id, 0)
        assert enough
        self.held += amount
        return opened

    @rule(target=holds, opened=consumes(holds), data=st.data())
    def draw(self, opened: Open, data: st.DataObject) -> Open:
        captured = data.draw(st.integers(0, opened.free))
        voided = data.draw(st.integers(0, opened.free - captured))
        return self.drawn(opened, captured, voided, unknown=opened.unknown)

    @rule(target=holds, opened=consumes(holds), data=st.data())
    def lose_sight(self, opened: Open, data: st.DataObject) -> Open:
        """Orders whose outcome is unknown: nothing is captured or voided, and their hold stays."""
        unknown = opened.unknown + data.draw(st.integers(0, opened.free))
        return Open(opened.job_id, opened.left, unknown)

    @rule(target=holds, opened=consumes(holds))
    def cancel(self, opened: Open) -> Open:
        """All that no vendor may have sold goes back at once; the unknown stays held."""
        return self.drawn(opened, 0, opened.free, unknown=opened.unknown)

    @rule(target=holds, opened=consumes(holds), data=st.data())
    def learn(self, opened: Open, data: st.DataObject) -> Open:
        """The vendor says of some orders that it sold them, of others that it did not."""
        sold = data.draw(st.integers(0, opened.unknown))
        absent = data.draw(st.integers(0, opened.unknown - sold))
        return self.drawn(opened, sold, absent, unknown=opened.unknown - sold - absent)

    def drawn(self, opened: Open, captured: int, voided: int, *, unknown: int) -> Open:
        self.settle(opened, captured, voided)
        self.balance -= captured
        self.held -= captured + voided
        self.spent += captured
        return Open(opened.job_id, opened.left - captured - voided, unknown)

    @rule(opened=holds, excess=AMOUNTS)
    def overdraw(self, opened: Open, excess: int) -> None:
        """More than the hold has left is refused, captured or voided."""
        for captured, voided in ((opened.left + excess, 0), (0, opened.left + excess)):
            with pytest.raises(Exception, match=r"no open hold|ck_holds_parts|ck_accounts"):
                self.settle(opened, captured, voided)

    @rule(amount=AMOUNTS, down=st.booleans())
    def move(self, amount: int, down: bool) -> None:
        available = self.agency if down else self.balance - self.held
        try:
            with scoped_transaction(self.house.sessions, PLATFORM) as session:
                (allocate if down else recall)(
                    session,
                    parent_id=self.seeded.agency_account,
                    child_id=self.seeded.client_account,
                    amount=amount,
                    notes="",
                    client_ref=f"machine:{new_id()}",
                    actor_id=ACTOR,
                )
        except InsufficientCredit as refused:
            assert amount > available
            assert refused.extra["available_minor"] == available
            return
        assert amount <= available
        self.agency += -amount if down else amount
        self.balance += amount if down else -amount

    def settle(self, opened: Open, captured: int, voided: int) -> None:
        with scoped_transaction(self.house.sessions, client(self.seeded.client_id)) as session:
            transfer_id = new_id()
            capture_and_void(
                session,
                job_id=opened.job_id,
                round_number=1,
                captured=captured,
                voided=voided,
                client_ref=f"capture:{transfer_id.hex}",
                transfer_id=transfer_id,
                now=clock.now(session),
            )

    @invariant()
    def the_accounts_are_what_the_model_says(self) -> None:
        found = rows(
            self.house,
            "SELECT tier, kind, balance, held FROM accounts WHERE agency_id = :agency "
            "ORDER BY tier, kind",
            agency=self.seeded.agency_id,
        )
        assert [tuple(row) for row in found] == [
            ("agency", "credit", self.agency, 0),
            ("agency", "spent", 0, 0),
            ("client", "credit", self.balance, self.held),
            ("client", "spent", self.spent, 0),
        ]

    def teardown(self) -> None:
        """Captures here pay for no card: only that proof may complain."""
        assert {name for name, broken in violations(self.house).items() if broken} <= {
            "captures-match"
        }


def test_balance_held_and_postings_agree_whatever_happens(house: House) -> None:
    machine = type("BooksOfThisHouse", (Books,), {"house": house})

    run_state_machine_as_test(
        machine, settings=settings(max_examples=20, stateful_step_count=18, deadline=None)
    )
