"""The whole tree of credit in any order of events: after every step the books obey their six laws.

`make fuzz EXAMPLES=500` goes further.
"""

import os
from typing import Any, ClassVar
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy.exc import IntegrityError

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.ledger import TransferKind
from models.scope import PLATFORM, SYSTEM, client
from pipelines.credit.adjust import adjust, reverse
from pipelines.credit.allocate import allocate, recall, top_up_platform
from pipelines.credit.claw_back import claw_back, collect, write_off
from pipelines.credit.hold import payer_of, place_hold
from pipelines.credit.refund import give_back
from pipelines.credit.refusals import AccountRestricted, OwesLess
from pipelines.reconciliation.invariants import INVARIANTS
from pipelines.tenants.refusals import HoldsOutstanding
from pipelines.wiring import House
from tests.clawing import top_up_of
from tests.ledger_laws import SIX, broken_laws, tree_of
from tests.ledger_model import TIERS, Books, Move, Open, answers
from tests.ledger_verbs import settle_hold, switch_budget
from tests.proof import violations
from tests.seeding import ACTOR, seed

EXAMPLES = int(os.environ.get("EXAMPLES", "10"))
START, OWN = 12_000, 4_000
AMOUNTS = st.integers(min_value=1, max_value=4_000)
TENANTS = st.sampled_from(TIERS[1:])
PAYERS = st.sampled_from(["client", "campaign"])


class Ledger(RuleBasedStateMachine):
    """The model is in tests/ledger_model.py; the database must always agree with it."""

    house: ClassVar[House]
    holds = Bundle("holds")
    moves = Bundle("moves")

    def __init__(self) -> None:
        super().__init__()
        self.seeded = seed(self.house, credit_minor=START, vendor=False)
        self.books = Books()
        self.books.by["client"].balance = START
        # The platform's account and the outside are everybody's.
        self.books.by["platform"].balance = self.found()["platform"].balance
        switch_budget(self.house, self.seeded, OWN)
        self.books.is_isolated = True
        self.books.shift("client", "campaign", OWN)
        self.ids = {tier: row.id for tier, row in self.found().items()}

    def found(self) -> dict[str, Any]:
        return tree_of(self.house, self.seeded.agency_id)

    # Credit between accounts.

    @initialize(target=moves)
    def given(self) -> Any:
        """What the tree begins with came from above, and may be disputed too."""
        sides = (("agency", "client", START), ("client", "campaign", OWN))
        return multiple(
            *(
                Move(top_up_of(self.house, self.ids[to]), "allocation", of, to, amount)
                for of, to, amount in sides
            )
        )

    @rule(amount=AMOUNTS)
    def top_up(self, amount: int) -> None:
        with scoped_transaction(self.house.sessions, PLATFORM) as session:
            named = {"client_ref": f"m:{new_id()}", "actor_id": None}
            top_up_platform(session, currency="USD", amount=amount, **named)
        self.books.shift("outside", "platform", amount)

    @rule(target=moves, below=TENANTS, amount=AMOUNTS, down=st.booleans())
    def move(self, below: str, amount: int, down: bool) -> Any:
        above = TIERS[TIERS.index(below) - 1]
        source, target = (above, below) if down else (below, above)
        refused, posted = self.books.leaving(source, amount), None
        with answers(refused), scoped_transaction(self.house.sessions, PLATFORM) as session:
            posted = (allocate if down else recall)(
                session,
                parent_id=self.ids[above],
                child_id=self.ids[below],
                amount=amount,
                notes="",
                client_ref=f"m:{new_id()}",
                actor_id=ACTOR,
            )
        if posted is None:
            return multiple()
        kind = "allocation" if down else "recall"
        return self.moved(posted.transfer_id, kind, source, target, amount)

    @rule(target=moves, who=TENANTS, amount=AMOUNTS, into=st.booleans())
    def correct(self, who: str, amount: int, into: bool) -> Any:
        return self.corrected(who, amount, into=into)

    def corrected(self, who: str, amount: int, *, into: bool) -> Any:
        source, target = ("outside", who) if into else (who, "outside")
        posted = None
        with (
            answers(self.books.taken_from(source, amount)),
            scoped_transaction(self.house.sessions, PLATFORM) as session,
        ):
            posted = adjust(
                session,
                target_id=self.ids[who],
                amount=amount if into else -amount,
                notes="",
                client_ref=f"m:{new_id()}",
                actor_id=ACTOR,
            )
        if posted is None:
            return multiple()
        return self.moved(posted.transfer_id, "adjustment", source, target, amount)

    def moved(self, transfer_id: UUID, kind: str, source: str, target: str, amount: int) -> Move:
        self.books.shift(source, target, amount)
        return Move(transfer_id, kind, source, target, amount)

    @rule(move=moves)
    def reverse(self, move: Move) -> None:
        refused = self.books.reversing(move)
        with answers(refused), scoped_transaction(self.house.sessions, PLATFORM) as session:
            values = {"notes": "", "client_ref": f"m:{new_id()}", "actor_id": ACTOR}
            reverse(session, transfer_id=move.transfer_id, **values)
        if refused is None:
            move.is_reversed = True
            self.books.shift(move.target, move.source, move.amount)

    @rule(amount=st.integers(0, 4_000), isolate=st.booleans())
    def switch(self, amount: int, isolate: bool) -> None:
        own = self.books.by["campaign"]
        if isolate:
            refused = self.books.leaving("client", amount) if amount else None
        elif not self.books.is_isolated:
            refused = None
        elif own.held:
            refused = HoldsOutstanding
        else:
            refused = AccountRestricted if own.owed else None
        with answers(refused):
            switch_budget(self.house, self.seeded, amount if isolate else None)
        if refused is not None:
            return
        if isolate:
            self.books.shift("client", "campaign", amount)
        elif self.books.is_isolated:
            self.books.shift("campaign", "client", own.balance)
        self.books.is_isolated = isolate

    # Credit of jobs.

    @property
    def payer(self) -> str:
        return "campaign" if self.books.is_isolated else "client"

    @rule(target=holds, amount=AMOUNTS)
    def hold(self, amount: int) -> Open:
        return self.held(amount)

    def held(self, amount: int) -> Open:
        who = self.payer
        opened = Open(new_id(), who, amount)
        refused = self.books.leaving(who, amount)
        with answers(refused), self.of_client() as session:
            payer = payer_of(session, self.seeded.campaign_id, "USD")
            place_hold(session, payer, job_id=opened.job_id, round_number=1, amount=amount)
        if refused is not None:
            return Open(opened.job_id, who, 0)
        self.books.by[who].held += amount
        return opened

    @rule(target=holds, opened=consumes(holds), data=st.data())
    def draw(self, opened: Open, data: st.DataObject) -> Open:
        captured = data.draw(st.integers(0, opened.left))
        voided = data.draw(st.integers(0, opened.left - captured))
        return self.drawn(opened, captured, voided)

    def drawn(self, opened: Open, captured: int, voided: int) -> Open:
        settle_hold(self.house, self.seeded, opened.job_id, captured=captured, voided=voided)
        book = self.books.by[opened.who]
        book.balance -= captured
        book.held -= captured + voided
        book.spent += captured
        return Open(opened.job_id, opened.who, opened.left - captured - voided)

    @rule(target=holds, part=st.integers(1, 4))
    def spend(self, part: int) -> Open:
        return self.spent(part)

    def spent(self, part: int) -> Open:
        """Cards for so many quarters of what is there, at once."""
        opened = self.held(max(1, self.books.by[self.payer].available * part // 4))
        return self.drawn(opened, opened.left, 0) if opened.left else opened

    @rule(opened=holds, excess=AMOUNTS)
    def overdraw(self, opened: Open, excess: int) -> None:
        """More than the hold has left is refused, captured or voided."""
        for captured, voided in ((opened.left + excess, 0), (0, opened.left + excess)):
            with pytest.raises(Exception, match=r"no open hold|ck_holds_parts|ck_accounts"):
                settle_hold(
                    self.house, self.seeded, opened.job_id, captured=captured, voided=voided
                )

    @rule(who=PAYERS, amount=AMOUNTS)
    def undo(self, who: str, amount: int) -> None:
        """What an undo gives back was spent before, and goes to whoever had paid."""
        book = self.books.by[who]
        values = {"account_id": self.ids[who], "amount": amount, "kind": TransferKind.REFUND}
        try:
            with self.of_client() as session:
                give_back(session, job_id=new_id(), transfer_id=new_id(), **values)
        except IntegrityError:
            assert amount > book.spent
            return
        assert amount <= book.spent
        book.spent -= amount
        book.balance += amount

    # Credit that is taken back outside.

    @rule(move=moves, part=st.integers(2, 5), times=st.integers(1, 2))
    def dispute(self, move: Move, part: int, times: int) -> None:
        """A part of what nobody claimed of a movement yet, or more; told of once or twice."""
        self.disputed(move, part, times)

    @rule(target=holds, move=moves)
    def spend_and_dispute(self, move: Move) -> Open:
        opened = self.spent(4)
        self.disputed(move, 4, 1)
        return opened

    def disputed(self, move: Move, part: int, times: int) -> None:
        amount, name = max(1, (move.amount - move.claimed) * part // 4), f"dp_{new_id()}"
        refused, made = self.books.disputing(move, amount), None
        for _ in range(times):
            with answers(refused), scoped_transaction(self.house.sessions, PLATFORM) as session:
                again = claw_back(
                    session,
                    transfer_id=move.transfer_id,
                    dispute_id=name,
                    amount=amount,
                    reason="",
                    actor_id=ACTOR,
                    now=clock.now(session),
                )
                assert made in {None, again}
                made = again
        if made is not None:
            self.books.dispute(made, move, amount)

    @rule(who=TENANTS)
    def collect(self, who: str) -> None:
        """The task comes by that lets free credit pay the oldest debt."""
        self.collected(who)

    @rule(who=TENANTS, more=st.integers(0, 1_000))
    def pay_in(self, who: str, more: int) -> None:
        """Credit enters that is enough for all that is owed, and pays it, debt by debt."""
        book = self.books.by[who]
        while book.open_debts:
            self.corrected(who, book.owed + more, into=True)
            self.collected(who)

    def collected(self, who: str) -> None:
        debts = self.books.by[who].open_debts
        paid = self.books.pay(who, debts[0]) if debts else 0
        with scoped_transaction(self.house.sessions, SYSTEM) as session:
            assert collect(session, self.ids[who], clock.now(session)) == (paid > 0)

    @rule(who=TENANTS, part=st.integers(1, 5))
    def forgive(self, who: str, part: int) -> None:
        """So many quarters of the oldest debt."""
        for debt in self.books.by[who].open_debts[:1]:
            amount = max(1, debt.owed * part // 4)
            refused = None if amount <= debt.owed else OwesLess
            with answers(refused), scoped_transaction(self.house.sessions, PLATFORM) as session:
                values = {"amount": amount, "actor_id": ACTOR, "now": clock.now(session)}
                write_off(session, debt.receivable_id, reason="goodwill", **values)
            if refused is None:
                debt.owed -= amount

    # What is true after every step.

    @invariant()
    def the_books_say_what_the_model_says(self) -> None:
        said = {
            tier: (row.balance, row.held, row.spent, int(row.owed), row.restricted)
            for tier, row in self.found().items()
        }
        assert said == {
            tier: (book.balance, book.held, book.spent, book.owed, book.owed > 0)
            for tier in TIERS
            for book in (self.books.by[tier],)
        }

    @invariant()
    def the_six_laws_hold(self) -> None:
        assert broken_laws(self.house) == []

    def of_client(self) -> Any:
        return scoped_transaction(self.house.sessions, client(self.seeded.client_id))

    def teardown(self) -> None:
        """Captures and refunds here are of no card: only those two proofs may complain."""
        assert {name for name, broken in violations(self.house).items() if broken} <= {
            "captures-match",
            "refunds-match",
        }


def test_s4_079_the_six_laws_hold_whatever_happens_in_the_tree(house: House) -> None:
    """EC-055, EC-070..077 in any order, over all four tiers."""
    machine = type("LedgerOfThisHouse", (Ledger,), {"house": house})

    run_state_machine_as_test(
        machine, settings=settings(max_examples=EXAMPLES, stateful_step_count=25, deadline=None)
    )


def test_the_laws_are_six() -> None:
    assert {one.id for one in INVARIANTS} >= SIX
