"""How an endpoint stands after its calls: told of, disabled, slow (EC-133)."""

from uuid import UUID

import pytest

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.webhooks import endpoints, redeliver
from pipelines.webhooks.endpoints import Place
from pipelines.webhooks.forget import forget_webhooks
from pipelines.wiring import House
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
    return seed(house, vendor=False, credit_minor=100_000)


def test_ec133_a_huge_answer_is_read_no_further_and_its_status_counts(
    house: House, sandbox: Sandbox, seeded: Seeded
):
    """EC-133: 64 KiB of it."""
    endpoint(house, sandbox)
    sandbox.arm_receiver(huge_body={"always": True, "megabytes": 2_000})
    job_ended(house, seeded)
    publish(house)

    (row,) = deliveries(house)
    assert (row.state, row.outcome) == ("delivered", "http_200")


def test_ec133_a_failing_endpoint_is_told_of_at_once_after_a_day_and_when_it_is_disabled(
    house: House, sandbox: Sandbox, seeded: Seeded
):
    """EC-133: also when nothing is sent meanwhile; what waited is cancelled."""
    place = Place(seeded.agency_id, seeded.client_id)
    endpoint_id = endpoint(house, sandbox, place=place)
    sandbox.arm_receiver(status={"always": True})
    job_ended(house, seeded)
    publish(house)
    levels = [endpoint_now(house, endpoint_id).told_level]
    for by in ("24 hours", "48 hours"):
        later(house, by)
        job_ended(house, seeded)
        rows(
            house, "UPDATE tasks SET run_after = 'infinity' WHERE kind = 'send_events' RETURNING 1"
        )
        publish(house)
        levels.append(endpoint_now(house, endpoint_id).told_level)

    row = endpoint_now(house, endpoint_id)
    assert levels == [1, 2, 3]
    assert (row.state, row.disabled_for) == ("disabled", "no_success")
    assert {one.state for one in deliveries(house)} == {"cancelled"}
    told_of = rows(house, "SELECT level, severity, client_id FROM alert_signals ORDER BY level")
    assert [(one.level, one.severity) for one in told_of] == [
        (1, "warning"),
        (2, "warning"),
        (3, "critical"),
    ]
    assert {one.client_id for one in told_of} == {seeded.client_id}
    job_ended(house, seeded)
    publish(house)
    assert len(deliveries(house)) == 3


def test_a_success_ends_the_trouble(house: House, sandbox: Sandbox, seeded: Seeded):
    endpoint_id = endpoint(house, sandbox)
    sandbox.arm_receiver(status={"next": 1})
    job_ended(house, seeded)
    publish(house)
    later(house, "25 hours")
    drain(house, wrapper=worker(house))

    row = endpoint_now(house, endpoint_id)
    assert (row.state, row.failing_since, row.told_level) == ("enabled", None, 0)
    assert row.succeeded_at is not None
    assert rows(house, "SELECT count(*) AS n FROM alert_signals WHERE is_over")[0].n == 1


def test_a_receiver_that_is_gone_is_disabled_at_once(
    house: House, sandbox: Sandbox, seeded: Seeded
):
    endpoint_id = endpoint(house, sandbox)
    sandbox.arm_receiver(status={"next": 1, "status": 410})
    job_ended(house, seeded)
    publish(house)

    row = endpoint_now(house, endpoint_id)
    assert (row.state, row.disabled_for, row.told_level) == ("disabled", "gone", 3)
    assert [one.state for one in deliveries(house)] == ["cancelled"]


def test_ec133_a_test_is_sent_once_and_never_counts(house: House, sandbox: Sandbox, seeded: Seeded):
    """EC-133: neither for the endpoint nor against it, and also to a disabled one."""
    endpoint_id = endpoint(house, sandbox)
    sandbox.arm_receiver(status={"next": 1})
    for _ in range(2):
        acted(house, redeliver.send_test, endpoint_id)
        drain(house, wrapper=worker(house))
    before = endpoint_now(house, endpoint_id)
    acted(house, endpoints.disable_endpoint, endpoint_id)
    acted(house, redeliver.send_test, endpoint_id)
    drain(house, wrapper=worker(house))

    assert (before.failing_since, before.succeeded_at, before.is_slow) == (None, None, True)
    assert [one.state for one in deliveries(house)] == ["failed", "delivered", "delivered"]
    assert [(e["type"], e["is_test"], e["sequence"]) for e in told(sandbox)] == [
        ("webhook.test", True, 0)
    ] * 3


def test_slow_receivers_share_a_few_places_and_leave_the_threads_to_others(
    house: House, sandbox: Sandbox, seeded: Seeded
):
    """Whoever failed or was slow waits while three such calls, of other tenants, are under way."""
    stranger = seed(house, vendor=False, credit_minor=100_000)
    places = [
        Place(None, None),
        Place(seeded.agency_id, None),
        Place(stranger.agency_id, stranger.client_id),
        Place(seeded.agency_id, seeded.client_id),
    ]
    slow: list[UUID] = [
        endpoint(house, sandbox, place=place, name=f"slow{n}") for n, place in enumerate(places)
    ]
    change(house, "is_slow = false", [endpoint(house, sandbox, name="quick")])
    change(house, "calling_until = now() + interval '1 hour'", slow[:3])
    change(house, "state = 'disabled', disabled_at = now()", slow[:3])
    job_ended(house, seeded)
    publish(house)

    assert len(told(sandbox, "quick")) == 1
    assert told(sandbox, "slow3") == []
    (task,) = rows(house, "SELECT postponed_for, attempts FROM tasks WHERE kind = 'send_events'")
    assert (task.postponed_for, task.attempts) == ("slow_receivers", 0)
    change(house, "calling_until = now()", slow[:3])
    later(house, "1 minute")
    drain(house, wrapper=worker(house))
    assert len(told(sandbox, "slow3")) == 1


def test_a_tenant_has_one_slow_place_and_its_tests_take_it_too(
    house: House, sandbox: Sandbox, seeded: Seeded
):
    """A test that hangs, and concludes nothing, keeps its own tenant waiting and nobody else."""
    own = Place(seeded.agency_id, seeded.client_id)
    hanging = endpoint(house, sandbox, place=own, name="hanging")
    tried = endpoint(house, sandbox, place=own, name="tried")
    foreign = endpoint(house, sandbox, name="foreign")
    acted(house, redeliver.send_test, hanging)
    rows(house, "UPDATE tasks SET run_after = 'infinity' RETURNING 1")
    change(house, "calling_until = now() + interval '1 hour'", [hanging])
    for endpoint_id in (tried, foreign):
        acted(house, redeliver.send_test, endpoint_id)
    drain(house, wrapper=worker(house))

    assert (len(told(sandbox, "tried")), len(told(sandbox, "foreign"))) == (0, 1)
    (task,) = rows(house, "SELECT * FROM tasks WHERE dedupe_key = :it", it=str(tried))
    assert (task.lane, task.postponed_for) == (str(seeded.client_id), "slow_receivers")
    change(house, "calling_until = now()", [hanging])
    later(house, "1 minute")
    drain(house, wrapper=worker(house))
    assert len(told(sandbox, "tried")) == 1


def test_what_nobody_is_told_of_has_no_number_and_what_is_old_goes_in_full_passes(
    house: House, sandbox: Sandbox, seeded: Seeded
):
    """Retention says that a pass was full, so that another follows it."""
    job_id = job_ended(house, seeded)
    publish(house)
    unheard = rows(house, "SELECT * FROM webhook_sequences")
    for _ in range(2):  # one number for an event, however many are told of it
        endpoint(house, sandbox)
    for _ in range(2):
        job_ended(house, seeded, job_id)
    publish(house)
    ends = "UPDATE webhook_deliveries SET ended_at = now() - interval '46 days' RETURNING 1"
    sequences = [one.sequence for one in deliveries(house)]
    rows(house, ends)
    full = []
    for _ in range(3):
        with scoped_transaction(house.sessions, SYSTEM) as session:
            full.append(forget_webhooks(session, clock.now(session), limit=2))

    assert unheard == []
    assert sorted(sequences) == [1, 1, 2, 2]
    assert (full, deliveries(house)) == ([True, True, False], [])
