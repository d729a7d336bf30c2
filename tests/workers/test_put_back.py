"""A drain begins nothing more, whoever waited, and puts back whatever was fetched."""

import threading
from collections.abc import Iterator
from datetime import datetime

import pytest
from dramatiq import Message, MessageProxy
from dramatiq.worker import _WorkQueueItem
from sqlalchemy.orm import Session

from pipelines.queue.broker_port import HouseBroker
from pipelines.queue.handlers import Handler
from pipelines.queue.kinds import PURGE_KEYS
from pipelines.queue.work import TaskInHand
from pipelines.wiring import House
from tests.conftest import Ground
from tests.until import until
from tests.workers.brokers import BehindRedis, working
from tests.workers.tasks import change_task, handlers_with, put, task
from workers import relay
from workers.drain import _put_back
from workers.shift import Shift
from workers.wrapper import Wrapper


@pytest.fixture
def broker(ground: Ground) -> Iterator[HouseBroker]:
    behind = BehindRedis(ground.servers.redis_url)
    behind.empty()
    made = behind.broker()
    yield made
    made.close()
    behind.empty()


def test_who_waited_for_one_who_works_alone_does_not_begin_after_the_drain_has(
    house: House,
) -> None:
    """EC-119: it was let in while the shift was open, and its turn comes when it is closed."""
    begun, may_end = threading.Event(), threading.Event()

    def run(_session: Session, _in_hand: TaskInHand, _now: datetime) -> None:
        begun.set()
        assert may_end.wait(30)

    shift = Shift()
    wrapper = Wrapper(house.sessions, handlers_with(house, Handler(PURGE_KEYS, run)), shift=shift)
    suspect, other = put(house, PURGE_KEYS), put(house, PURGE_KEYS)
    change_task(house, suspect, "starts = 1")
    loner = threading.Thread(target=wrapper.run, args=(suspect, 1))
    waiting = threading.Thread(target=wrapper.run, args=(other, 1))

    loner.start()
    assert begun.wait(30)
    waiting.start()
    until(lambda: shift.tally.read()[0] == 2)
    shift.close()
    may_end.set()
    loner.join(30)
    waiting.join(30)

    assert task(house, suspect) is None
    assert task(house, other).starts == 0
    assert shift.take_refused() == [other]


def test_what_was_fetched_is_put_back_beside_a_message_that_names_no_task(
    house: House, broker: HouseBroker
) -> None:
    """EC-119, EC-122: rubbish that got so far is dropped, and the rest is rung again elsewhere."""
    task_id = put(house, PURGE_KEYS)
    with working(broker, house) as worker:
        for thread in worker.workers:
            thread.pause()
        until(lambda: all(thread.paused_event.is_set() for thread in worker.workers))
        relay.run_once(house.sessions, broker, house.limits)
        until(lambda: worker.work_queue.qsize() == 1)
        rubbish: Message[None] = Message(
            "bulk", PURGE_KEYS.name, (), {"v": 1}, {"redis_message_id": "gone"}
        )
        worker.work_queue.put(_WorkQueueItem(-1, MessageProxy(rubbish)))

        _put_back(worker, Shift(), house.sessions)

        assert worker.work_queue.empty()
        row = task(house, task_id)
        assert (row.starts, row.rung_at) == (0, None)
        for thread in worker.workers:
            thread.resume()
