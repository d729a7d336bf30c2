"""A standing task never ends without having seen what was written for it before."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread
from typing import Any

from sqlalchemy import insert, text

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.scope import SYSTEM
from models.webhooks import WebhookDelivery
from pipelines.providers.transport import Answer, VendorTransport
from pipelines.webhooks.publish import wake_endpoints
from pipelines.webhooks.send import Courier
from pipelines.wiring import House
from tests.driving import drain, rows
from tests.hooks import deliveries, endpoint, worker
from tests.until import until
from tests.vendor import Sandbox

_BLOCKED = "SELECT 1 FROM pg_locks WHERE NOT granted"


def delivery(endpoint_id: Any, now: Any) -> Any:
    return insert(WebhookDelivery).values(
        endpoint_id=endpoint_id,
        event_id=new_id(),
        type="job.finished",
        object_kind="job",
        object_id=new_id(),
        sequence=1,
        data={},
        happened_at=now,
        next_at=now,
    )


def written(house: House, endpoint_id: Any) -> None:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = clock.now(session)
        session.execute(delivery(endpoint_id, now))
        wake_endpoints(session, {endpoint_id: None}, now=now)


def is_waited_for(house: House) -> bool:
    """Whether somebody waits for a lock, asked beside the transaction that is open."""
    with house.sessions.kw["bind"].connect() as connection:
        return bool(connection.execute(text(_BLOCKED)).all())


class Interrupted(VendorTransport):
    """A way out during whose first call something happens."""

    def __init__(self, happens: Any) -> None:
        super().__init__()
        self.happens, self.calls = happens, 0

    def request(self, *_args: Any, **_given: Any) -> Answer:
        self.calls += 1
        if self.calls == 1:
            self.happens()
        return Answer(200, b"", {})


def courier(house: House, transport: VendorTransport) -> Courier:
    return Courier(transport, house.webhook_key, True, house.limits, lambda: 0.0)


def test_a_task_that_ended_before_it_was_woken_is_made_anew(house: House, sandbox: Sandbox):
    endpoint_id = endpoint(house, sandbox)
    written(house, endpoint_id)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = clock.now(session)
        session.execute(delivery(endpoint_id, now))
        with ThreadPoolExecutor(1) as other:  # it sees the first alone, and ends
            other.submit(drain, house, wrapper=worker(house)).result(30)
            ended = other.submit(rows, house, "SELECT 1 FROM tasks").result(30)
        wake_endpoints(session, {endpoint_id: None}, now=now)
    drain(house, wrapper=worker(house))

    assert ended == []
    assert [row.state for row in deliveries(house)] == ["delivered", "delivered"]


def test_a_task_that_is_woken_while_it_works_waits_and_sees_it(house: House, sandbox: Sandbox):
    endpoint_id = endpoint(house, sandbox)
    written(house, endpoint_id)
    woken = Event()

    def write() -> None:
        with scoped_transaction(house.sessions, SYSTEM) as session:
            now = clock.now(session)
            wake_endpoints(session, {endpoint_id: None}, now=now)
            session.execute(delivery(endpoint_id, now))
            woken.set()
            until(lambda: is_waited_for(house))

    other = Thread(target=write)

    def happens() -> None:
        other.start()
        assert woken.wait(30)

    transport = Interrupted(happens)
    drain(house, wrapper=worker(house, by=courier(house, transport)))
    other.join(30)

    assert transport.calls == 2
    assert [row.state for row in deliveries(house)] == ["delivered", "delivered"]
    assert rows(house, "SELECT 1 FROM tasks WHERE kind = 'send_events'") == []


def test_a_task_that_rests_comes_at_once_when_it_is_woken(house: House, sandbox: Sandbox):
    endpoint_id = endpoint(house, sandbox)
    written(house, endpoint_id)
    rows(house, "UPDATE webhook_deliveries SET next_at = now() + interval '5 hours' RETURNING 1")
    drain(house, wrapper=worker(house))
    (resting,) = rows(
        house, "SELECT id, run_after > now() + interval '4 hours' AS rests FROM tasks"
    )
    written(house, endpoint_id)
    drain(house, wrapper=worker(house))

    assert resting.rests
    assert [row.state for row in deliveries(house)] == ["waiting", "delivered"]
    (task,) = rows(house, "SELECT id, run_after > now() + interval '4 hours' AS rests FROM tasks")
    assert (task.id, task.rests) == (resting.id, True)
