"""EC-126: a vendor account has a bounded number of calls in flight, over all workers."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, text

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.scope import SYSTEM
from models.vendors import VendorAccount
from pipelines.providers import guard
from pipelines.providers.guard import Purpose
from pipelines.providers.ports import Absent, Refused, Throttled, Unknown
from pipelines.wiring import House
from tests.driving import rows

START = datetime(2026, 1, 1, tzinfo=UTC)
ANSWERS = {"answered": Refused("out_of_stock", None), "unknown": Unknown("http_500")}


def open_account(session, *, places: int, answered_at: datetime | None) -> None:
    session.execute(
        insert(VendorAccount).values(
            vendor="reloadly",
            concurrency=places,
            rate_per_minute=600_000,
            burst=10_000,
            micro_tokens=10_000_000_000,
            answered_at=answered_at,
        )
    )


def test_ec126_many_workers_asking_at_once_get_as_many_places_as_there_are(house: House) -> None:
    """EC-126: eight workers, three places."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        open_account(session, places=3, answered_at=clock.now(session))
    together = Barrier(8)

    def work(_worker: int) -> bool:
        together.wait()
        with scoped_transaction(house.sessions, SYSTEM) as session:
            now = clock.now(session)
            permit = guard.ask(session, "reloadly", now=now, call=new_id(), seconds=60)
        return permit.is_granted

    with ThreadPoolExecutor(8) as workers:
        granted = list(workers.map(work, range(8)))

    assert sum(granted) == 3


MOVES = st.lists(
    st.tuples(st.sampled_from(["ask", "answered", "unknown", "die", "wait"]), st.integers(0, 3)),
    max_size=30,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=MOVES, places=st.integers(1, 3))
def test_ec126_calls_in_flight_never_pass_their_bound_and_the_dead_give_way(
    house: House, moves: list[tuple[str, int]], places: int
) -> None:
    """EC-126: begun, ended, or left behind by a worker that died, in any order."""
    now, flying, dead = START, {}, {}
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("DELETE FROM vendor_calls"))
        session.execute(text("DELETE FROM vendor_call_counts"))
        session.execute(
            text("INSERT INTO vendor_accounts (vendor) VALUES ('reloadly') ON CONFLICT DO NOTHING")
        )
        session.execute(
            text(
                "UPDATE vendor_accounts SET concurrency = :places, answered_at = :start, "
                "micro_tokens = 10000000000, burst = 10000, filled_at = :start, taken_until = NULL"
            ),
            {"places": places, "start": START},
        )
        for move, which in moves:
            for gone in [call for call, until in dead.items() if until <= now]:
                del dead[gone]
            if move == "ask":
                call = new_id()
                permit = guard.ask(session, "reloadly", now=now, call=call, seconds=100)
                assert permit.is_granted == (len(flying) + len(dead) < places)
                if permit.is_granted:
                    flying[call] = now + timedelta(seconds=100)
            elif move == "wait":
                now += timedelta(seconds=20 * which)
                dead |= {call: until for call, until in flying.items() if until <= now}
                flying = {call: until for call, until in flying.items() if until > now}
            elif flying:
                call = list(flying)[which % len(flying)]
                until = flying.pop(call)
                if move == "die":
                    dead[call] = until
                else:
                    guard.note(session, "reloadly", ANSWERS[move], call=call, now=now)
                    # The bound is what is proven here; the breaker has its own tests.
                    session.execute(
                        text(
                            "UPDATE vendor_accounts SET breaker_state = 'closed', breaker_window = 0, "
                            "breaker_window_calls = 0, breaker_failures_in_row = 0, "
                            "breaker_openings = 0, breaker_blocked_until = NULL"
                        )
                    )


def asks(house: House, purpose: Purpose = Purpose.ORDER) -> list[UUID]:
    """Ten calls asked for one after another: those that may begin."""
    calls = [new_id() for _ in range(10)]
    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = clock.now(session)
        return [
            call
            for call in calls
            if guard.ask(
                session, "reloadly", now=now, call=call, seconds=60, purpose=purpose
            ).is_granted
        ]


def test_ec060_a_vendor_not_heard_lately_gets_two_calls_until_it_answers(house: House) -> None:
    """EC-060: keys that are not good are found out by few calls."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        open_account(session, places=6, answered_at=None)
    first = asks(house)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        guard.note(session, "reloadly", Absent(), call=first[0], now=clock.now(session))

    assert (len(first), len(asks(house))) == (2, 5)


def test_calls_are_counted_by_how_they_went(house: House) -> None:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        open_account(session, places=6, answered_at=None)
        now = clock.now(session)
        for answer in (Absent(), Throttled(0.0), Unknown("http_500"), Unknown("reference_used")):
            guard.note(session, "reloadly", answer, call=new_id(), now=now)

    counted = rows(
        house, "SELECT sum(answered) a, sum(failed) f, sum(unknown) u FROM vendor_call_counts"
    )
    assert tuple(counted[0]) == (2, 1, 1)
