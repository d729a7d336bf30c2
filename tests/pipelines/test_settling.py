"""A vendor's answer in hand is written down, whatever the database is at when it comes."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from models import clock
from models.cards import OrderState
from models.database import scoped_transaction
from models.scope import SYSTEM, tenant_scope
from pipelines.queue.kinds import PLACE_ORDER
from pipelines.queue.settling import settle_in_hand
from pipelines.queue.work import TaskInHand, finish, start
from pipelines.wiring import House, build_handlers
from tests.chaos.proxy import Proxy
from tests.driving import drain, hasten, recipients_csv, rows, submit, view
from tests.moves import one_step
from tests.proof import assert_proven
from tests.seeding import seed
from tests.unheard import house_through_proxy
from tests.until import until
from tests.vendor import Sandbox
from tests.workers.tasks import change_task, put, task
from workers.wrapper import Wrapper

_WAITING = "SELECT 1 FROM pg_locks WHERE NOT granted"
_HOLD_CHUNKS = "SELECT 1 FROM chunks FOR UPDATE"


@pytest.fixture
def through(vendor_house: House) -> Iterator[tuple[House, Proxy]]:
    with house_through_proxy(vendor_house) as made:
        yield made


def order_in_line(house: House) -> tuple[UUID, UUID]:
    """A job of one order that is about to be placed: the job and the order's task."""
    job_id = submit(house, seed(house), recipients_csv(1))
    one_step(house)
    (found,) = rows(house, "SELECT id FROM tasks WHERE kind = 'place_order'")
    return job_id, found.id


def run(house: House, task_id: UUID) -> None:
    Wrapper(house.sessions, build_handlers(house), draw=lambda: 0.0).run(task_id, 1)


def orders(house: House) -> list[tuple[str, int, int]]:
    found = rows(house, "SELECT state, sends, lookups FROM provider_orders")
    return [(row.state, row.sends, row.lookups) for row in found]


def test_an_answer_outlives_a_chunk_that_is_locked_too_long(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """The lock's patience ends while the answer is in hand; the answer is written all the same."""
    job_id, task_id = order_in_line(vendor_house)
    holder = vendor_house.sessions.kw["bind"].connect()
    holder.exec_driver_sql("SET ROLE largesse_system")
    holder.exec_driver_sql(_HOLD_CHUNKS)

    with ThreadPoolExecutor(1) as elsewhere:
        running = elsewhere.submit(run, vendor_house, task_id)
        until(lambda: rows(vendor_house, _WAITING))
        until(lambda: not rows(vendor_house, _WAITING))
        holder.rollback()
        running.result(timeout=30)
    holder.close()

    assert orders(vendor_house) == [(OrderState.SUCCEEDED, 1, 0)]
    drain(vendor_house)
    assert view(vendor_house, job_id)["state"] == "succeeded"
    assert sandbox.calls("POST /orders") == 1
    assert_proven(vendor_house)


def test_ec036_an_answer_written_unheard_is_not_written_twice(
    vendor_house: House, through: tuple[House, Proxy], sandbox: Sandbox
) -> None:
    """EC-036: the repetition finds the task gone and ends well."""
    house, proxy = through
    job_id, task_id = order_in_line(vendor_house)
    proxy.obey(commits_after="DELETE FROM tasks", commits_left=1)

    run(house, task_id)

    assert proxy.obey()["commits_lost"] == 1
    assert orders(vendor_house) == [(OrderState.SUCCEEDED, 1, 0)]
    assert task(vendor_house, task_id) is None
    drain(vendor_house)
    assert view(vendor_house, job_id)["state"] == "succeeded"
    assert_proven(vendor_house)


def test_ec036_an_order_marked_sent_unheard_is_sent_once(
    vendor_house: House, through: tuple[House, Proxy], sandbox: Sandbox
) -> None:
    """EC-036: the mark is known to be this worker's own, so the vendor need not be asked."""
    house, proxy = through
    _job_id, task_id = order_in_line(vendor_house)
    proxy.obey(commits_after="UPDATE provider_orders SET", commits_left=1)

    run(house, task_id)

    assert proxy.obey()["commits_lost"] == 1
    assert orders(vendor_house) == [(OrderState.SUCCEEDED, 1, 0)]
    assert sandbox.calls("POST /orders") == 1


def test_ec036_an_order_put_back_unheard_is_not_put_back_twice(
    vendor_house: House, through: tuple[House, Proxy], sandbox: Sandbox
) -> None:
    """EC-036: its send is taken back once, and its task keeps the place it was given."""
    house, proxy = through
    job_id, task_id = order_in_line(vendor_house)
    sandbox.arm(throttled_429={"next": 1, "retry_after": 1})
    proxy.obey(commits_after="postponed_for", commits_left=1)

    run(house, task_id)

    assert proxy.obey()["commits_lost"] == 1
    assert orders(vendor_house) == [(OrderState.CREATED, 0, 0)]
    row = task(vendor_house, task_id)
    assert (row.postponed_for, row.starts, row.lease_token) == ("vendor_throttled", 0, 2)
    hasten(vendor_house)
    drain(vendor_house)
    assert view(vendor_house, job_id)["state"] == "succeeded"


def test_ec036_a_look_up_noted_unheard_keeps_the_order_looked_after(
    vendor_house: House, through: tuple[House, Proxy], sandbox: Sandbox
) -> None:
    """EC-036: found accepted, to be asked again: the repetition must not end its recovery."""
    house, proxy = through
    sandbox.arm(processing={"always": True, "seconds": 60})
    _job_id, task_id = order_in_line(vendor_house)
    run(vendor_house, task_id)
    with scoped_transaction(vendor_house.sessions, SYSTEM) as session:
        session.execute(text("UPDATE provider_orders SET state = 'unknown'"))
    hasten(vendor_house)
    (recovery,) = rows(vendor_house, "SELECT id FROM tasks WHERE kind = 'recover_order'")
    proxy.obey(commits_after="lookups = lookups + 1", commits_left=1)

    run(house, recovery.id)

    assert proxy.obey()["commits_lost"] == 1
    assert orders(vendor_house) == [(OrderState.ACCEPTED, 1, 1)]
    assert task(vendor_house, recovery.id).postponed_for == "awaiting_vendor"


def test_ec118_a_repetition_by_a_worker_whose_lease_was_taken_writes_nothing(
    vendor_house: House,
) -> None:
    """EC-118: each repetition is fenced anew."""
    in_hand = leased(vendor_house)
    tries: list[int] = []

    def write(session: Session) -> None:
        tries.append(len(tries))
        lose_line(session)
        with ThreadPoolExecutor(1) as elsewhere:
            newer = "lease_token = lease_token + 1"
            elsewhere.submit(change_task, vendor_house, in_hand.id, newer).result(timeout=10)
        finish(session, in_hand)

    settle(vendor_house, in_hand, write, seconds=60)

    assert tries == [0]
    assert task(vendor_house, in_hand.id).lease_token == in_hand.token + 1


def test_a_settlement_is_repeated_no_longer_than_its_lease_lasts(vendor_house: House) -> None:
    in_hand = leased(vendor_house)
    tries: list[int] = []

    def write(session: Session) -> None:
        tries.append(len(tries))
        lose_line(session)
        finish(session, in_hand)

    with pytest.raises(OperationalError):
        settle(vendor_house, in_hand, write, seconds=-1)

    assert tries == [0]
    assert task(vendor_house, in_hand.id).lease_token == in_hand.token


def settle(
    house: House, in_hand: TaskInHand, write: Callable[[Session], None], *, seconds: float
) -> None:
    until_then = time.monotonic() + seconds
    with tenant_scope(SYSTEM):
        settle_in_hand(house.sessions, in_hand, write, until=until_then, draw=lambda: 0.0)


def leased(house: House) -> TaskInHand:
    """A stepped task as its worker has it."""
    task_id = put(house, PLACE_ORDER)
    leases = {PLACE_ORDER.name: timedelta(seconds=60)}
    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = clock.now(session)
        in_hand = start(session, task_id, now=now, known=set(leases), leases=leases)
    assert in_hand is not None
    return in_hand


def lose_line(session: Session) -> None:
    """The connection breaks; the server rolls back when it notices."""
    line = session.connection().connection.driver_connection
    assert line is not None
    line.close()
