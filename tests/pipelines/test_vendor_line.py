"""EC-061: who finds no token at a vendor keeps a place in the line, and no token is lost to waiting."""

import heapq
import random
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import insert

from models.base import new_id
from models.database import scoped_transaction
from models.scope import SYSTEM
from models.vendors import VendorAccount
from pipelines.providers import guard
from pipelines.providers.guard import Purpose
from pipelines.providers.ports import Throttled, Unknown
from pipelines.providers.turn import Turn
from pipelines.wiring import House
from tests.driving import rows

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def one_a_second(house: House) -> House:
    """An account with one token in its bucket and one more each second."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(
            insert(VendorAccount).values(
                vendor="reloadly",
                rate_per_minute=60,
                burst=1,
                micro_tokens=1_000_000,
                filled_at=NOON,
                answered_at=NOON,
            )
        )
    return house


def ask(
    house: House,
    call: UUID,
    *,
    after: float,
    turn: Turn | None = None,
    purpose: Purpose = Purpose.ORDER,
) -> guard.Permit:
    now = NOON + timedelta(seconds=after)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return guard.ask(
            session, "reloadly", now=now, call=call, seconds=60, purpose=purpose, turn=turn
        )


def wait_of(permit: guard.Permit) -> float:
    return (permit.at - NOON).total_seconds()


def test_ec061_each_call_of_a_crowd_gets_a_second_of_its_own(one_a_second: House):
    calls = [new_id() for _ in range(4)]
    told = [ask(one_a_second, call, after=0) for call in calls]

    assert [permit.is_granted for permit in told] == [True, False, False, False]
    assert [wait_of(permit) for permit in told] == [0, 1, 2, 3]
    for call, permit in zip(calls[1:], told[1:], strict=True):
        assert ask(one_a_second, call, after=wait_of(permit)).is_granted


def test_ec061_who_waits_in_hand_is_let_in_a_little_before_its_turn_and_told_the_moment(
    one_a_second: House,
):
    """EC-061: being woken late may not hold up who comes after; the vendor hears one a second."""
    calls, turns = [new_id() for _ in range(3)], [Turn() for _ in range(3)]
    told = [ask(one_a_second, call, after=0, turn=Turn()) for call in calls]
    asked = time.monotonic()
    early = [
        ask(one_a_second, call, after=wait_of(permit), turn=turn)
        for call, permit, turn in zip(calls[1:], told[1:], turns[1:], strict=True)
    ]
    next_one = ask(one_a_second, new_id(), after=2.0)

    assert [wait_of(permit) for permit in told] == [0, 0.75, 1.75]
    assert [(permit.is_granted, wait_of(permit)) for permit in early] == [(True, 1), (True, 2)]
    assert all(turn.at > asked for turn in turns[1:])
    assert wait_of(next_one) == 3


def test_who_has_no_place_comes_when_it_is_told_and_not_before(one_a_second: House):
    call = new_id()
    ask(one_a_second, call, after=0, turn=Turn())
    with scoped_transaction(one_a_second.sessions, SYSTEM) as session:
        guard.note(session, "reloadly", Throttled(30.0), call=call, now=NOON)

    told = ask(one_a_second, new_id(), after=29.9, turn=Turn())

    assert (told.is_granted, wait_of(told)) == (False, 31)


def test_where_calls_are_few_nobody_stands_in_the_place_of_one(one_a_second: House):
    """Of two places the second is for who calls: it is asked for at the turn itself."""
    with scoped_transaction(one_a_second.sessions, SYSTEM) as session:
        session.connection().exec_driver_sql("UPDATE vendor_accounts SET concurrency = 2")
    first, second = new_id(), new_id()
    ask(one_a_second, first, after=0, turn=Turn())
    ask(one_a_second, second, after=0, turn=Turn())

    early = ask(one_a_second, second, after=0.9, turn=Turn())

    assert (early.is_granted, wait_of(early)) == (False, 1)
    assert ask(one_a_second, second, after=1, turn=Turn()).is_granted


@pytest.mark.parametrize(("rate", "burst"), [(600, 1), (300, 1), (60, 1)])
def test_ec061_in_a_crowd_every_question_has_its_turn_and_no_two_calls_come_too_close(
    one_a_second: House, rate: int, burst: int
):
    """EC-061: for 20 seconds of virtual time more orders wait than the rate allows."""
    with scoped_transaction(one_a_second.sessions, SYSTEM) as session:
        session.connection().exec_driver_sql(
            f"UPDATE vendor_accounts SET rate_per_minute = {rate}, burst = {burst}, "
            "micro_tokens = 0, concurrency = 10000"
        )
    chance, seconds = random.Random(rate + burst), 20
    orders = [(0.001 * n, n, new_id(), Purpose.ORDER) for n in range(rate // 3)]
    asked = [(2.0 * n, -n, new_id(), Purpose.QUESTION) for n in range(1, 5)]
    waiting, begun, answered = orders + asked, [], {}
    heapq.heapify(waiting)
    while waiting and waiting[0][0] < seconds:
        at, number, call, purpose = heapq.heappop(waiting)
        permit = ask(one_a_second, call, after=at, turn=Turn(), purpose=purpose)
        if not permit.is_granted:
            woken = wait_of(permit) + chance.uniform(0, 0.02)
            heapq.heappush(waiting, (woken, number, call, purpose))
            continue
        begun.append(wait_of(permit))
        if purpose is Purpose.QUESTION:
            answered[-number] = wait_of(permit) - 2.0 * -number
    begun.sort()
    interval = 60 / rate

    assert sorted(answered) == [1, 2, 3, 4]
    assert max(answered.values()) <= 6
    assert len(begun) >= 0.95 * seconds / interval - 1
    gaps = [last - first for first, last in zip(begun, begun[burst:], strict=False)]
    assert min(gaps) >= interval - 1e-4


def test_a_place_is_nobody_else_s_and_is_waited_for(one_a_second: House):
    first, second, stranger = new_id(), new_id(), new_id()
    ask(one_a_second, first, after=0)
    ask(one_a_second, second, after=0)

    early = ask(one_a_second, second, after=0.5)
    late = ask(one_a_second, stranger, after=0.75)

    assert (early.is_granted, late.is_granted) == (False, False)
    assert (wait_of(early), wait_of(late)) == (1, 2)


def test_who_is_late_still_has_its_token(one_a_second: House):
    first, second = new_id(), new_id()
    ask(one_a_second, first, after=0)
    ask(one_a_second, second, after=0)

    assert ask(one_a_second, second, after=8).is_granted


def test_a_place_that_nobody_came_for_ends(one_a_second: House):
    """Its job was cancelled meanwhile: one call is lost, and no place among those in flight."""
    first, gone = new_id(), new_id()
    ask(one_a_second, first, after=0)
    ask(one_a_second, gone, after=0)

    with scoped_transaction(one_a_second.sessions, SYSTEM) as session:
        session.connection().exec_driver_sql("UPDATE vendor_accounts SET concurrency = 2")
    assert ask(one_a_second, new_id(), after=4).is_granted


def test_who_was_asked_to_be_slower_dissolves_the_line(one_a_second: House):
    first, second = new_id(), new_id()
    ask(one_a_second, first, after=0)
    ask(one_a_second, second, after=0)

    with scoped_transaction(one_a_second.sessions, SYSTEM) as session:
        guard.note(
            session,
            "reloadly",
            Throttled(30.0),
            call=first,
            now=NOON + timedelta(seconds=0.5),
        )

    assert not ask(one_a_second, second, after=1).is_granted
    assert not ask(one_a_second, second, after=30).is_granted
    assert ask(one_a_second, second, after=32).is_granted


def test_ec061_a_worker_that_waited_for_the_account_still_gets_a_token_of_a_full_bucket(
    one_a_second: House,
):
    """EC-061: it began earlier than the one that was quicker; that is no pause of the vendor's."""
    with scoped_transaction(one_a_second.sessions, SYSTEM) as session:
        session.connection().exec_driver_sql(
            "UPDATE vendor_accounts SET burst = 3, micro_tokens = 3000000"
        )

    quick, slow = ask(one_a_second, new_id(), after=0.4), ask(one_a_second, new_id(), after=0.1)

    assert (quick.is_granted, slow.is_granted) == (True, True)


@pytest.mark.parametrize("answer", [Throttled(30.0), Unknown("question_throttled", 30.0)])
def test_ec061_an_order_and_a_question_pause_the_account_alike(
    one_a_second: House, answer: Throttled | Unknown
):
    """EC-061: neither is a failure of the vendor's, or proof of our keys."""
    call = new_id()
    ask(one_a_second, call, after=0)
    with scoped_transaction(one_a_second.sessions, SYSTEM) as session:
        guard.note(session, "reloadly", answer, call=call, now=NOON + timedelta(seconds=1))

    told = ask(one_a_second, new_id(), after=2)
    (row,) = rows(one_a_second, "SELECT * FROM vendor_accounts")
    (counted,) = rows(one_a_second, "SELECT * FROM vendor_call_counts")

    assert (told.is_granted, wait_of(told)) == (False, 32)
    assert (row.breaker_failures_in_row, row.answered_at) == (0, NOON)
    assert (counted.answered, counted.failed, counted.unknown) == (0, 1, 0)


def test_ec061_who_comes_late_for_its_place_begins_after_those_that_came_late_with_it(
    one_a_second: House,
):
    """EC-061: three places had passed when their callers came: the vendor hears one a second."""
    calls = [new_id() for _ in range(4)]
    for call in calls:
        ask(one_a_second, call, after=0)

    late = [ask(one_a_second, call, after=3.5) for call in reversed(calls[1:])]
    again = [ask(one_a_second, call, after=4.5) for call in calls[1:3]]
    last = ask(one_a_second, calls[2], after=5.5)

    assert [permit.is_granted for permit in late] == [True, False, False]
    assert [wait_of(permit) for permit in late] == [3.5, 4.5, 4.5]
    assert [permit.is_granted for permit in again] == [True, False]
    assert (wait_of(again[1]), last.is_granted) == (5.5, True)
