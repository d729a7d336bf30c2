"""Stepped work holds a lease: a worker that slept past it writes nothing any more (EC-118)."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from models.database import transaction
from pipelines.errors import LeaseLost
from pipelines.queue.handlers import Handler
from pipelines.queue.kinds import PLACE_ORDER
from pipelines.queue.work import TaskInHand, fence, finish
from pipelines.wiring import House
from tests.driving import rows
from tests.workers.tasks import change_task, put, task, wrapper_with

TENANT = UUID(int=7)


def test_a_lease_keeps_a_second_worker_away(house: House) -> None:
    calls: list[int] = []

    def call_out(sessions: Any, in_hand: TaskInHand) -> None:
        calls.append(in_hand.token)
        if len(calls) == 1:
            with ThreadPoolExecutor(1) as elsewhere:
                elsewhere.submit(wrapper.run, in_hand.id, 1).result(timeout=10)

    wrapper = wrapper_with(house, Handler(PLACE_ORDER, call_out))
    task_id = put(house, PLACE_ORDER, tenant_id=TENANT)

    wrapper.run(task_id, 1)

    assert calls == [1]
    leased = rows(
        house, "SELECT extract(epoch FROM lease_until - now())::float AS seconds FROM tasks"
    )
    assert leased[0].seconds == pytest.approx(125 + 30, abs=5)


def test_a_live_lease_is_respected_whatever_the_counts_say(house: House) -> None:
    """Its own reason to stay away, beside the start that is not accounted for."""
    calls: list[int] = []

    def call_out(_sessions: Any, in_hand: TaskInHand) -> None:
        calls.append(in_hand.token)

    task_id = put(house, PLACE_ORDER, tenant_id=TENANT)
    change_task(house, task_id, "lease_until = now() + interval '1 hour'")

    wrapper_with(house, Handler(PLACE_ORDER, call_out)).run(task_id, 1)

    assert calls == []
    assert task(house, task_id).starts == 0


def test_ec118_a_worker_that_slept_past_its_lease_writes_nothing(house: House) -> None:
    """EC-118: a newer holder has the fencing token; the sleeper's settle is refused."""
    told: list[str] = []

    def call_out(sessions: Any, in_hand: TaskInHand) -> None:
        if in_hand.token == 1:
            change = "lease_until = now() - interval '1 second'"
            with ThreadPoolExecutor(1) as elsewhere:
                elsewhere.submit(change_task, house, in_hand.id, change).result(timeout=10)
                other_process = wrapper_with(house, Handler(PLACE_ORDER, call_out))
                elsewhere.submit(other_process.run, in_hand.id, 1).result(timeout=10)
        try:
            with transaction(sessions) as session:
                fence(session, in_hand)
                told.append(f"settled by {in_hand.token}")
                finish(session, in_hand)
        except LeaseLost:
            told.append(f"refused to {in_hand.token}")
            raise

    wrapper = wrapper_with(house, Handler(PLACE_ORDER, call_out))
    task_id = put(house, PLACE_ORDER, tenant_id=TENANT)

    wrapper.run(task_id, 1)

    assert told == ["settled by 2", "refused to 1"]
    assert task(house, task_id) is None


def test_ec118_a_sleeper_may_not_settle_while_the_newer_holder_is_at_work(house: House) -> None:
    """EC-118: the row is still there, so only its token tells the two holders apart."""

    def sleep_and_settle(sessions: Any, in_hand: TaskInHand) -> None:
        newer = "lease_token = lease_token + 1, lease_until = now() + interval '1 hour'"
        with ThreadPoolExecutor(1) as elsewhere:
            elsewhere.submit(change_task, house, in_hand.id, newer).result(timeout=10)
        with transaction(sessions) as session:
            fence(session, in_hand)
            finish(session, in_hand)

    task_id = put(house, PLACE_ORDER, tenant_id=TENANT)

    wrapper_with(house, Handler(PLACE_ORDER, sleep_and_settle)).run(task_id, 1)

    assert task(house, task_id).lease_token == 2


def test_ec118_a_sleeper_s_fault_does_not_touch_the_newer_holder_s_row(house: House) -> None:
    """EC-118: neither its attempt nor its wait is written over the newer lease."""

    def sleep_and_fail(_sessions: Any, in_hand: TaskInHand) -> None:
        newer = "lease_token = lease_token + 1, starts = 2, lease_until = now() + interval '1 h'"
        with ThreadPoolExecutor(1) as elsewhere:
            elsewhere.submit(change_task, house, in_hand.id, newer).result(timeout=10)
        raise ValueError

    task_id = put(house, PLACE_ORDER, tenant_id=TENANT)

    wrapper_with(house, Handler(PLACE_ORDER, sleep_and_fail)).run(task_id, 1)

    row = task(house, task_id)
    assert (row.lease_token, row.starts, row.attempts, row.last_error) == (2, 2, 0, None)
    assert row.lease_until is not None
