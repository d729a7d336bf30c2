"""Receivers that ask to be left alone, and calls that hang from the first one on (EC-133)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from pipelines.webhooks import endpoints, redeliver
from pipelines.webhooks.endpoints import Place, Wanted
from pipelines.webhooks.send import courier
from pipelines.wiring import House
from tests import hooks
from tests.driving import drain, rows
from tests.hooks import (
    acted,
    change,
    deliveries,
    endpoint,
    endpoint_now,
    job_ended,
    later,
    publish,
    told,
    worker,
)
from tests.seeding import Seeded, seed
from tests.vendor import Sandbox


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


@pytest.mark.parametrize("status", [429, 503])
def test_ec133_a_receiver_that_says_when_to_come_again_is_left_alone_until_then(
    house: House, sandbox: Sandbox, seeded: Seeded, status: int
) -> None:
    """EC-133: all that waits for it, what happens meanwhile too; a test is a person's and is sent."""
    endpoint_id = endpoint(house, sandbox)
    sandbox.arm_receiver(status={"next": 1, "status": status, "retry_after": 1200})
    job_ended(house, seeded)
    publish(house)
    (refused,) = deliveries(house)
    later(house, "10 minutes")
    job_ended(house, seeded)
    publish(house)
    acted(house, redeliver.send_test, endpoint_id)
    drain(house, wrapper=worker(house))
    while_resting = [event["type"] for event in told(sandbox)]
    later(house, "11 minutes")
    drain(house, wrapper=worker(house))

    assert refused.next_at - refused.created_at >= timedelta(seconds=1200)
    assert while_resting == ["job.finished", "webhook.test"]
    assert [event["type"] for event in told(sandbox)[2:]] == ["job.finished"] * 2
    assert {one.state for one in deliveries(house)} == {"delivered"}
    assert endpoint_now(house, endpoint_id).rests_until is None


def test_ec133_nobody_is_left_alone_for_longer_than_an_hour_nor_called_sooner_than_ever(
    house: House, sandbox: Sandbox, seeded: Seeded
) -> None:
    """EC-133: a week is an hour, a second is the usual wait; other answers are not asked."""
    endpoint_id = endpoint(house, sandbox)
    waits = []
    for status, asks in ((429, 604_800), (503, 1), (500, 1_200)):
        sandbox.arm_receiver(status={"next": 1, "status": status, "retry_after": asks})
        rows(house, "DELETE FROM webhook_deliveries RETURNING 1")
        job_ended(house, seeded)
        publish(house)
        (row,) = deliveries(house)
        waits.append(round((row.next_at - hooks.now(house)).total_seconds() / 30))
        change(house, "rests_until = NULL", [endpoint_id])

    assert waits == [120, 1, 1]


def test_ec133_an_endpoint_that_was_never_called_takes_a_slow_place_and_leaves_the_threads(
    house: House, sandbox: Sandbox, seeded: Seeded
) -> None:
    """EC-133: three new ones hang; a fourth waits, a known quick one does not."""
    new: list[UUID] = [
        endpoint(house, sandbox, place=place, name=f"new{n}")
        for n, place in enumerate(_tenants(house, seeded))
    ]
    quick = endpoint(house, sandbox, name="quick")
    change(house, "calling_until = now() + interval '1 hour'", new[:3])
    change(house, "state = 'disabled', disabled_at = now()", new[:3])
    change(house, "is_slow = false", [quick])
    job_ended(house, seeded)
    publish(house)
    waiting = len(told(sandbox, "new3"))
    change(house, "calling_until = now()", new[:3])
    later(house, "1 minute")
    drain(house, wrapper=worker(house))

    assert (len(told(sandbox, "quick")), waiting, len(told(sandbox, "new3"))) == (1, 0, 1)
    assert not endpoint_now(house, new[3]).is_slow


def test_ec133_a_call_that_lasts_takes_a_place_however_quick_its_endpoint_was(
    house: House, sandbox: Sandbox, seeded: Seeded
) -> None:
    """EC-133: begun three seconds ago; one begun just now does not."""
    own = Place(seeded.agency_id, seeded.client_id)
    hanging = endpoint(house, sandbox, place=own, name="hanging")
    slow = endpoint(house, sandbox, place=own, name="slow")
    seconds = 2 * house.limits.webhook_call_seconds
    change(house, "is_slow = false, state = 'disabled', disabled_at = now()", [hanging])
    seen = []
    for ago in (3, 0):
        span = f"interval '{seconds - ago} seconds'"
        change(house, f"calling_until = now() + {span}", [hanging])
        job_ended(house, seeded)
        publish(house)
        seen.append(len(told(sandbox, "slow")))
        later(house, "1 minute")
        change(house, "is_slow = true", [slow])

    assert seen == [0, 2]


def test_another_address_is_as_unknown_as_a_new_endpoint(
    house: House, sandbox: Sandbox, seeded: Seeded
) -> None:
    endpoint_id = endpoint(house, sandbox)
    change(house, "is_slow = false, rests_until = now() + interval '1 hour'", [endpoint_id])
    found = []
    for path in ("hook", "other"):
        acted(house, partial(_moved, url=f"{sandbox.url}/receiver/{path}"), endpoint_id)
        row = endpoint_now(house, endpoint_id)
        found.append((row.is_slow, row.rests_until is None))

    assert found == [(False, False), (True, True)]


def test_ec133_another_address_is_told_at_once_what_waited_for_the_one_before(
    house: House, sandbox: Sandbox, seeded: Seeded
) -> None:
    """EC-133: both what the old receiver put off and what it was not asked for."""
    endpoint_id = endpoint(house, sandbox)
    sandbox.arm_receiver(status={"next": 1, "status": 503, "retry_after": 3600})
    for _ in range(2):
        job_ended(house, seeded)
        publish(house)

    acted(house, partial(_moved, url=f"{sandbox.url}/receiver/other"), endpoint_id)
    drain(house, wrapper=worker(house))

    assert len(told(sandbox, "other")) == 2
    assert {one.state for one in deliveries(house)} == {"delivered"}


def test_ec133_an_endpoint_that_is_enabled_again_rests_no_more(
    house: House, sandbox: Sandbox, seeded: Seeded
) -> None:
    """EC-133: its receiver was mended; what happens from now on is sent now."""
    endpoint_id = endpoint(house, sandbox)
    sandbox.arm_receiver(status={"next": 1, "status": 503, "retry_after": 3600})
    job_ended(house, seeded)
    publish(house)
    for verb in (endpoints.disable_endpoint, endpoints.enable_endpoint):
        acted(house, verb, endpoint_id)
    job_ended(house, seeded)
    publish(house)

    assert endpoint_now(house, endpoint_id).rests_until is None
    assert [one.state for one in deliveries(house)] == ["cancelled", "delivered"]


def test_ec133_a_late_answer_of_the_address_before_puts_nothing_off_at_the_new_one(
    house: House, sandbox: Sandbox, seeded: Seeded
) -> None:
    """EC-133: the address is changed while the old one is being called."""
    endpoint_id = endpoint(house, sandbox)
    sandbox.arm_receiver(status={"next": 1, "status": 503, "retry_after": 3600})
    by = courier(key=house.webhook_key, anywhere=True, limits=house.limits, draw=lambda: 0.0)
    move = partial(_moved, url=f"{sandbox.url}/receiver/other")
    transport = _Meanwhile(by.transport, lambda: acted(house, move, endpoint_id))
    wrapper = worker(house, by=replace(by, transport=transport))
    job_ended(house, seeded)
    publish(house, wrapper=wrapper)
    (late,) = deliveries(house)

    assert endpoint_now(house, endpoint_id).rests_until is None
    assert late.next_at - late.created_at < timedelta(seconds=60)


class _Meanwhile:
    """A way out; while the first call is under way, something else is done."""

    def __init__(self, out: Any, act: Callable[[], None]) -> None:
        self.out, self.acts = out, [act]

    def request(self, *args: Any, **kwargs: Any) -> Any:
        answer = self.out.request(*args, **kwargs)
        while self.acts:
            self.acts.pop()()
        return answer


def _moved(session: Session, endpoint_id: UUID, *, actor_id: UUID, now: datetime, url: str) -> None:
    wanted = Wanted(url, "", None)
    endpoints.change_endpoint(
        session, endpoint_id, wanted, actor_id=actor_id, anywhere=True, now=now
    )


def _tenants(house: House, seeded: Seeded) -> list[Place]:
    stranger = seed(house, vendor=False)
    return [
        Place(None, None),
        Place(seeded.agency_id, None),
        Place(stranger.agency_id, stranger.client_id),
        Place(seeded.agency_id, seeded.client_id),
    ]
