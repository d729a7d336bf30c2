"""Coupons of one book moved at random by two people and their manager: counts and history keep up."""

from typing import Any, ClassVar
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from models import clock
from models.books import WHOLE_BOOK, CouponState
from models.database import scoped_transaction
from models.scope import client
from pipelines.assignment.accept import AssignmentRequest, submit_assignment
from pipelines.books.change import change_book
from pipelines.books.coupon_states import MOVES
from pipelines.books.look_up import CouponInHand, find_coupon
from pipelines.books.recount import count_book
from pipelines.errors import Refusal
from pipelines.redemption.accept import Acting, submit_redemption
from pipelines.redemption.lock import lock_coupon, unlock_coupon
from pipelines.redemption.withdraw import release_coupon, void_coupon
from pipelines.wiring import House
from tests.booking import make_book
from tests.couponing import finish, other_person, put_codes
from tests.driving import rows
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed

COUPONS = 4
LIMITS = (
    "max_assignments_per_user",
    "max_assignments",
    "max_redemptions_per_coupon",
    "max_redemptions_per_user",
    "max_redemptions",
)
numbers = st.integers(0, COUPONS - 1)
people = st.integers(0, 1)
limits = st.one_of(st.none(), st.integers(1, 4))

HELD = """
SELECT user_id, count(*) FILTER (WHERE state IN ('assigned', 'locked', 'redeemed')) AS assigned,
    sum(redemptions) AS redeemed
FROM coupons WHERE user_id IS NOT NULL GROUP BY user_id
"""
TOLD = """
SELECT c.id, c.version, c.redemptions, count(e.number) AS events, max(e.number) AS last,
    count(*) FILTER (WHERE e.move = 'redeemed') AS redeemed
FROM coupons c LEFT JOIN coupon_events e ON e.coupon_id = c.id GROUP BY c.book_id, c.id
"""
STOCK = """
SELECT sum(unassigned) AS unassigned, sum(assigned) AS assigned, sum(locked) AS locked,
    sum(redeemed) AS redeemed, sum(void) AS void, sum(redemptions) AS redemptions FROM book_stock
WHERE book_id = :book
"""
COUNTED = """
SELECT count(*) FILTER (WHERE state = 'unassigned') AS unassigned,
    count(*) FILTER (WHERE state = 'assigned') AS assigned,
    count(*) FILTER (WHERE state = 'locked') AS locked,
    count(*) FILTER (WHERE state = 'redeemed') AS redeemed,
    count(*) FILTER (WHERE state = 'void') AS void, sum(redemptions) AS redemptions
FROM coupons WHERE book_id = :book
"""


class Counter(RuleBasedStateMachine):
    """Everything that can be done to four coupons, in any order; what is refused changes nothing."""

    house: ClassVar[House]

    @initialize(allowed=st.fixed_dictionaries(dict.fromkeys(LIMITS, limits)))
    def begin(self, allowed: dict[str, int | None]) -> None:
        self.seeded: Seeded = seed(self.house, vendor=False, credit_minor=0)
        self.allowed = allowed
        self.book = make_book(self.house, self.seeded, allow_multi_redemption=True, **allowed)
        if allowed["max_assignments"] or allowed["max_redemptions"]:
            with self.scope() as session:
                count_book(session, self.book)  # as whoever makes such a book does
        self.codes = put_codes(self.house, self.seeded, self.book, COUPONS)
        self.people = [other_person(self.house, self.seeded, f"p{n}") for n in range(2)]
        self.tokens: dict[int, str] = {}
        self.before = self.now_is()
        #: Where a limit was lowered under what there was, that much stays.
        self.more_than_allowed: dict[str, int] = {}

    def now_is(self) -> dict[str, tuple[str, UUID | None]]:
        found = rows(self.house, "SELECT code, state, user_id FROM coupons")
        return {row.code: (row.state, row.user_id) for row in found if row.code in self.codes}

    def scope(self) -> Any:
        return scoped_transaction(self.house.sessions, client(self.seeded.client_id))

    def found(self, session: Any, number: int) -> CouponInHand:
        keyring, tenant = self.house.settings.keyring, self.seeded.client_id
        return find_coupon(session, self.codes[number], clients=[tenant], keyring=keyring)

    def common(self) -> dict[str, Any]:
        house = self.house
        return {"key": None, "keyring": house.settings.keyring, "limits": house.limits}

    def tried(self, work: Any) -> bool:
        try:
            with self.scope() as session:
                work(session, clock.now(session))
        except Refusal:
            return False
        finish(self.house)
        return True

    @rule(person=people, number=st.one_of(st.none(), numbers))
    def assign(self, person: int, number: int | None) -> None:
        named = {"code": self.codes[number]} if number is not None else {"book_id": self.book}
        asked = AssignmentRequest(self.seeded.client_id, self.people[person], **named)
        self.tried(
            lambda session, _now: submit_assignment(session, asked, actor_id=ACTOR, **self.common())
        )

    @rule(person=people, number=numbers, has_token=st.booleans())
    def redeem(self, person: int, number: int, has_token: bool) -> None:
        acting = Acting(self.people[person], self.people[person])
        token = self.tokens.get(number) if has_token else None
        self.tried(
            lambda session, _now: submit_redemption(
                session, self.found(session, number), acting, lock_token=token, **self.common()
            )
        )

    @rule(person=people, number=numbers)
    def lock(self, person: int, number: int) -> None:
        acting = Acting(self.people[person], self.people[person])

        def work(session: Any, now: Any) -> None:
            coupon = self.found(session, number)
            locked = lock_coupon(session, coupon, acting, now=now, **self.common())
            self.tokens[number] = str(locked.token)

        self.tried(work)

    @rule(person=people, number=numbers)
    def unlock(self, person: int, number: int) -> None:
        acting = Acting(self.people[person], self.people[person])
        self.tried(
            lambda session, now: unlock_coupon(
                session, self.found(session, number), acting, now=now
            )
        )

    @rule(number=numbers, voids=st.booleans())
    def take_back(self, number: int, voids: bool) -> None:
        verb = void_coupon if voids else release_coupon
        self.tried(
            lambda session, now: verb(
                session, self.found(session, number), actor_id=ACTOR, reason=None, now=now
            )
        )

    @rule(number=numbers)
    def run_out(self, number: int) -> None:
        """The time of its lock is over, and nobody has tidied it."""
        ends = "UPDATE coupons SET locked_until = now() - interval '1 s', version = version + 1 "
        ends += "WHERE code = :code AND state = 'locked' RETURNING id, version, book_id"
        changed = rows(self.house, ends, code=self.codes[number])
        for row in changed:
            told = "INSERT INTO coupon_events (coupon_id, number, book_id, agency_id, client_id, "
            told += "move, at) VALUES (:id, :version, :book_id, :agency, :client, 'locked', now()) "
            tenant = {"agency": self.seeded.agency_id, "client": self.seeded.client_id}
            rows(self.house, told + "RETURNING 1", **row._mapping, **tenant)

    @rule(limit=st.sampled_from(LIMITS), most=limits)
    def change_limit(self, limit: str, most: int | None) -> None:
        with self.scope() as session:
            now = clock.now(session)
            change_book(session, self.book, {limit: most}, version=None, actor_id=ACTOR, now=now)
        self.allowed[limit] = most
        self.more_than_allowed[limit] = self.most_of(limit)

    def most_of(self, limit: str) -> int:
        """What the limit counts now, at its highest."""
        held = rows(self.house, HELD)
        kind = "assigned" if "assignments" in limit else "redeemed"
        if limit.endswith("per_coupon"):
            return self.most_redeemed()
        mine = [int(getattr(row, kind)) for row in held if row.user_id in self.people]
        return max(mine, default=0) if limit.endswith("per_user") else sum(mine)

    @invariant()
    def limits_are_kept(self) -> None:
        """Beyond a limit is only what there was when it was set."""
        for limit, most in getattr(self, "allowed", {}).items():
            if most is not None and limit != "max_redemptions_per_coupon":
                assert self.most_of(limit) <= max(most, self.more_than_allowed.get(limit, 0)), limit
        if hasattr(self, "allowed") and (most := self.allowed["max_redemptions_per_coupon"]):
            allowed = max(most, self.more_than_allowed.get("max_redemptions_per_coupon", 0))
            assert self.most_redeemed() <= allowed

    def most_redeemed(self) -> int:
        most = "SELECT max(redemptions) AS most FROM coupons WHERE book_id = :book"
        (found,) = rows(self.house, most, book=self.book)
        return int(found.most)

    @invariant()
    def counts_are_what_people_hold(self) -> None:
        """Of who is counted at all; a person who has nothing may have a row of nothing."""
        if not hasattr(self, "book"):
            return
        held = {
            row.user_id: (int(row.assigned), int(row.redeemed)) for row in rows(self.house, HELD)
        }
        counts = "SELECT * FROM coupon_counts WHERE book_id = :book"
        counted = {
            row.user_id: (row.assigned, row.redeemed)
            for row in rows(self.house, counts, book=self.book)
        }
        whole = counted.pop(WHOLE_BOOK, (0, 0))
        mine = {person: held.get(person, (0, 0)) for person in self.people}
        if self.allowed["max_assignments_per_user"] or self.allowed["max_redemptions_per_user"]:
            assert {person: counted.get(person, (0, 0)) for person in self.people} == mine
        if self.allowed["max_assignments"] or self.allowed["max_redemptions"]:
            assert whole == tuple(map(sum, zip(*mine.values(), strict=True)))

    @invariant()
    def every_move_is_legal_and_told(self) -> None:
        """As many events as moves, numbered without a gap; stock is what is there."""
        if not hasattr(self, "book"):
            return
        for row in rows(self.house, TOLD):
            assert (row.version, row.version) == (row.events, row.last or 0)
            assert row.redemptions == row.redeemed
        after = self.now_is()
        for code, (state, _user) in after.items():
            was = CouponState(self.before[code][0])
            assert state == was or CouponState(state) in reachable(was)
        self.before = after
        (stock,) = rows(self.house, STOCK, book=self.book)
        (counted,) = rows(self.house, COUNTED, book=self.book)
        assert tuple(map(int, stock)) == tuple(map(int, counted))
        assert rows(self.house, "SELECT FROM open_redemptions") == []

    def teardown(self) -> None:
        assert_proven(self.house)


def reachable(state: CouponState) -> set[CouponState]:
    """In one request: a lock that ran out is tidied on the way."""
    return set(MOVES[state]) | {two for one in MOVES[state] for two in MOVES[one]}


def test_ec084_ec091_counts_history_and_stock_agree_whatever_is_done(house: House) -> None:
    """EC-084, EC-090, EC-091: limits are set and lifted meanwhile."""
    machine = type("CounterOfThisHouse", (Counter,), {"house": house})

    run_state_machine_as_test(
        machine, settings=settings(max_examples=20, stateful_step_count=25, deadline=None)
    )
