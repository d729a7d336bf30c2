"""Workers side by side on a book that is nearly empty: each coupon once (EC-088)."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from threading import Event
from typing import cast
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from models.books import CouponState
from models.database import create_database_engine, scoped_transaction, sessions_of
from models.scope import client
from pipelines.assignment.accept import AssignmentRequest, submit_assignment
from pipelines.errors import Fault
from pipelines.queue.handlers import InTransaction
from pipelines.queue.kinds import RUN_SINGLE
from pipelines.queue.work import TaskInHand
from pipelines.wiring import House, build_handlers
from tests.booking import make_book
from tests.couponing import (
    finish,
    other_person,
    put_codes,
)
from tests.driving import rows
from tests.seeding import ACTOR, Seeded
from tests.until import until
from workers.wrapper import Wrapper

S = CouponState
#: Somebody waits for a row that another has.
WAITS = "SELECT FROM pg_locks WHERE NOT granted"


@pytest.fixture
def wide_house(house: House) -> Iterator[House]:
    """The same house with a connection for each of many workers."""
    engine = create_database_engine(house.settings.database_url, pool_size=20)
    yield replace(house, sessions=sessions_of(engine))
    engine.dispose()


def endings(house: House) -> Counter[tuple[str, str | None]]:
    return Counter((row.state, row.code) for row in rows(house, "SELECT state, code FROM items"))


class Stumbled(Fault):
    """What befalls a worker after its work: the transaction is rolled back."""


def submit_assignments(house: House, seeded: Seeded, book_id: UUID, user_id: UUID, n: int) -> None:
    """As the API accepts them, many in one transaction."""
    asked = AssignmentRequest(seeded.client_id, user_id, book_id=book_id)
    keyring, limits = house.settings.keyring, house.limits
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        for _ in range(n):
            submit_assignment(
                session, asked, actor_id=ACTOR, key=None, keyring=keyring, limits=limits
            )


def stumbling_wrapper(house: House, stumbles: Callable[[UUID], bool]) -> Wrapper:
    """Workers that lose what they did for the tasks of which `stumbles` says so."""
    handlers = build_handlers(house)
    single = handlers.by_name[RUN_SINGLE.name]

    def run(session: Session, task: TaskInHand, now: datetime) -> None:
        cast("InTransaction", single.run)(session, task, now)
        if stumbles(task.id):
            raise Stumbled

    changed = {**handlers.by_name, RUN_SINGLE.name: replace(single, run=run)}
    return Wrapper(house.sessions, replace(handlers, by_name=changed), draw=lambda: 0.0)


def test_ec088_a_nearly_empty_book_gives_each_coupon_once_and_is_exhausted_in_the_end(
    wide_house: House, seeded: Seeded
) -> None:
    """EC-088: 8 workers, 1,000 coupons, 1,100 requests; one in twenty is rolled back on its first try."""
    house = wide_house
    book_id = make_book(house, seeded)
    put_codes(house, seeded, book_id, 1_000)
    submit_assignments(house, seeded, book_id, other_person(house, seeded), 1_100)
    tasks = [row.id for row in rows(house, "SELECT id FROM tasks ORDER BY id")]
    fated = set(tasks[::20])
    lost = set()

    def stumbles(task_id: UUID) -> bool:
        first = task_id in fated and task_id not in lost
        lost.add(task_id)
        return first

    wrapper = stumbling_wrapper(house, stumbles)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda task: wrapper.run(task, 1), tasks))
    finish(house)

    assert endings(house) == {("succeeded", None): 1_000, ("failed", "book_exhausted"): 100}
    assert fated <= lost
    assert {row.state for row in rows(house, "SELECT state FROM coupons")} == {"assigned"}
    assert len(rows(house, "SELECT FROM coupon_events")) == 1_000
    twice = "SELECT FROM items WHERE result_id IS NOT NULL GROUP BY result_id HAVING count(*) > 1"
    assert rows(house, twice) == []


def test_ec088_a_book_is_not_exhausted_while_its_last_coupon_is_in_somebodys_hands(
    wide_house: House, seeded: Seeded
) -> None:
    """EC-088: who comes second waits, and gets it when the first rolls back."""
    house = wide_house
    book_id = make_book(house, seeded)
    put_codes(house, seeded, book_id, 1)
    submit_assignments(house, seeded, book_id, other_person(house, seeded), 2)
    first, second = (row.id for row in rows(house, "SELECT id FROM tasks ORDER BY id"))
    has_it, is_waited_for = Event(), Event()

    def stumbles(task_id: UUID) -> bool:
        if task_id != first or has_it.is_set():
            return False
        has_it.set()
        return is_waited_for.wait(timeout=30)

    wrapper = stumbling_wrapper(house, stumbles)
    with ThreadPoolExecutor(2) as pool:
        works = [pool.submit(wrapper.run, first, 1)]
        assert has_it.wait(timeout=30)
        works.append(pool.submit(wrapper.run, second, 1))
        until(lambda: rows(house, WAITS) != [])
        is_waited_for.set()
        for work in works:
            work.result()
    ends = dict(rows(house, "SELECT job_id, state FROM items"))
    finish(house)

    assert sorted(ends.values()) == ["pending", "succeeded"]
    assert endings(house) == {("succeeded", None): 1, ("failed", "book_exhausted"): 1}
