"""Events go out signed, at least once, are tried again for a day, and failing endpoints end (EC-133, EC-134)."""

import json
from dataclasses import replace

import pytest

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.scope import SYSTEM, client
from pipelines.alerts.kinds import JOB_STALLED
from pipelines.alerts.raise_alert import raise_alert, settle_alert
from pipelines.monitoring.notify import fold_and_tell
from pipelines.providers.transport import Manners, VendorTransport
from pipelines.webhooks import addresses, endpoints, redeliver
from pipelines.webhooks.endpoints import Place, SecretRotating
from pipelines.webhooks.redeliver import EndpointNotEnabled
from pipelines.webhooks.send import courier
from pipelines.wiring import House
from tests import hooks
from tests.canary import PRIVATE
from tests.driving import cards_csv, drain, import_cards_now, rows, submit
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

#: Past every wait between two tries.
LONGEST = "10 hours"


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False, credit_minor=100_000)


def test_ec134_what_a_job_came_to_is_told_signed_and_without_a_secret_or_a_person(
    house: House, sandbox: Sandbox, seeded: Seeded
):
    """EC-134: ids, states and numbers only; the whole job is one event, however many rows it has."""
    import_cards_now(house, seeded.csv_pool, cards_csv(3))
    publish(house)  # Nobody listens yet.
    endpoint_id = endpoint(house, sandbox)
    people = [{"email": f"p{n}@example.com", "name": f"Person {n}"} for n in range(4)]
    job_id = submit(house, seeded, people)
    drain(house, wrapper=worker(house))
    publish(house)

    ((headers, body),) = sandbox.received()
    event = json.loads(body)
    assert event["type"] == "job.finished"
    assert event["object"] == {"kind": "job", "id": str(job_id)}
    assert (event["agency_id"], event["client_id"]) == (
        str(seeded.agency_id),
        str(seeded.client_id),
    )
    assert {name: event["data"][name] for name in ("state", "succeeded", "failed")} == {
        "state": "partially_succeeded",
        "succeeded": 3,
        "failed": 1,
    }
    assert headers["x-event-id"] == event["event_id"]
    assert headers["content-type"] == "application/json"
    secret, now = hooks.secret(house, endpoint_id), hooks.now(house)
    assert hooks.verified(headers, body, secret, now=now)
    assert not hooks.verified(headers, body + b" ", secret, now=now)
    assert PRIVATE.search(body.decode() + str(headers)) is None
    (row,) = deliveries(house)
    assert (row.state, row.outcome, row.attempts) == ("delivered", "http_200", 1)
    assert rows(house, "SELECT 1 FROM tasks WHERE kind = 'send_events'") == []


def test_ec134_a_receiver_that_knows_event_ids_and_sequences_is_told_once_and_in_order(
    house: House, sandbox: Sandbox, seeded: Seeded
):
    """EC-134: an answer that is lost brings the event again, the same bytes, after later ones."""
    endpoint(house, sandbox)
    sandbox.arm_receiver(drop={"next": 1})
    job_id = job_ended(house, seeded)
    publish(house)
    for _ in range(2):
        job_ended(house, seeded, job_id)
    publish(house)
    later(house, "30 seconds")
    drain(house, wrapper=worker(house))

    bodies = [body for _headers, body in sandbox.received()]
    assert [json.loads(body)["sequence"] for body in bodies] == [1, 2, 3, 1]
    assert bodies[0] == bodies[3]
    seen = {json.loads(body)["event_id"]: json.loads(body)["sequence"] for body in bodies}
    assert sorted(seen.values()) == [1, 2, 3]


def test_each_object_counts_for_itself_over_passes(house: House, sandbox: Sandbox, seeded: Seeded):
    endpoint(house, sandbox)
    one, other = job_ended(house, seeded), job_ended(house, seeded)
    publish(house)
    for job_id in (other, one, one):
        job_ended(house, seeded, job_id)
    publish(house)

    counted = [(event["object"]["id"], event["sequence"]) for event in told(sandbox)]
    assert counted == [
        (str(one), 1),
        (str(other), 1),
        (str(other), 2),
        (str(one), 2),
        (str(one), 3),
    ]


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ({"status": {"always": True}}, "http_500"),
        ({"status": {"always": True, "status": 404}}, "http_404"),
        ({"redirect": {"always": True}}, "http_302"),
        ({"slow": {"always": True, "seconds": 1.0}}, "timeout"),
        ({"slow_body": {"always": True, "seconds": 1.0}}, "timeout"),
        ({"drop": {"always": True}}, "unreachable"),
    ],
)
def test_ec133_what_is_not_taken_is_tried_eight_times_and_then_failed(
    house: House, sandbox: Sandbox, seeded: Seeded, fault: dict, outcome: str
):
    """EC-133"""
    endpoint_id = endpoint(house, sandbox)
    sandbox.arm_receiver(**fault)
    by = worker(house, limits=hooks.quick(house))
    job_ended(house, seeded)
    publish(house, wrapper=by)
    waits = []
    for _ in range(7):
        (row,) = deliveries(house)
        waits.append(row.next_at - endpoint_now(house, endpoint_id).failing_since)
        assert (row.state, row.outcome) == ("waiting", outcome)
        drain(house, wrapper=by)
        assert deliveries(house)[0].attempts == row.attempts
        if outcome != "http_500":
            break
        later(house, LONGEST)
        drain(house, wrapper=by)

    (row,) = deliveries(house)
    assert waits[0].total_seconds() == pytest.approx(30, abs=5)
    if outcome == "http_500":
        assert (row.state, row.attempts, len(row.tries)) == ("failed", 8, 8)
        assert {one["outcome"] for one in row.tries} == {outcome}
        assert len({event["event_id"] for event in told(sandbox)}) == 1
        assert len(told(sandbox)) == 8
        assert rows(house, "SELECT 1 FROM tasks WHERE kind = 'send_events'") == []


def test_ec134_for_a_day_after_a_rotation_both_secrets_verify(
    house: House, sandbox: Sandbox, seeded: Seeded
):
    """EC-134"""
    endpoint_id = endpoint(house, sandbox)
    acted(house, endpoints.rotate_secret, endpoint_id)
    with pytest.raises(SecretRotating):
        acted(house, endpoints.rotate_secret, endpoint_id)
    job_ended(house, seeded)
    publish(house)
    later(house, "24 hours")
    job_ended(house, seeded)
    publish(house)

    now, old, new = (
        hooks.now(house),
        hooks.secret(house, endpoint_id, 1),
        hooks.secret(house, endpoint_id, 2),
    )
    good = [
        [hooks.verified(*call, secret, now=now) for secret in (old, new)]
        for call in sandbox.received()
    ]
    assert good == [[True, True], [False, True]]


def test_each_tenant_is_told_of_its_own_and_an_agency_of_its_clients(
    house: House, sandbox: Sandbox, seeded: Seeded
):
    other = seed(house, vendor=False, credit_minor=0)
    places = {
        "client": Place(seeded.agency_id, seeded.client_id),
        "agency": Place(seeded.agency_id, None),
        "platform": Place(None, None),
        "stranger": Place(other.agency_id, other.client_id),
    }
    for name, place in places.items():
        endpoint(house, sandbox, place=place, name=name)
    endpoint(house, sandbox, name="picky", events=["alert.raised"])
    job_id = job_ended(house, seeded)
    publish(house)

    heard = {name: [event["object"]["id"] for event in told(sandbox, name)] for name in places}
    assert heard == {
        "client": [str(job_id)],
        "agency": [str(job_id)],
        "platform": [str(job_id)],
        "stranger": [],
    }
    assert told(sandbox, "picky") == []
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        seen = redeliver.list_deliveries(
            session, endpoint_id=None, state=None, before=None, limit=10
        )
    assert [row.client_id for row in seen] == [seeded.client_id]


def test_s4_034_alerts_are_told_when_they_are_raised_worse_and_over(
    house: House, sandbox: Sandbox, seeded: Seeded
):
    endpoint(house, sandbox, place=Place(seeded.agency_id, seeded.client_id))
    about = {"agency_id": seeded.agency_id, "client_id": seeded.client_id}
    job_id = new_id()
    for level in (0, 1, 1, None):
        with scoped_transaction(house.sessions, SYSTEM) as session:
            named = {"subject_id": job_id, "now": clock.now(session), **about}
            if level is None:
                settle_alert(session, JOB_STALLED, **named)
            else:
                raise_alert(session, JOB_STALLED, detail={"minutes": 20}, level=level, **named)
            fold_and_tell(session, keyring=house.settings.keyring, now=clock.now(session))
    publish(house)

    assert [(e["type"], e["sequence"], e["data"]["level"]) for e in told(sandbox)] == [
        ("alert.raised", 1, 0),
        ("alert.escalated", 2, 1),
        ("alert.resolved", 3, 1),
    ]
    assert {e["data"]["subject_id"] for e in told(sandbox)} == {str(job_id)}
    assert {e["data"]["kind"] for e in told(sandbox)} == {"job_stalled"}


def test_what_is_not_committed_never_happened(house: House, sandbox: Sandbox, seeded: Seeded):
    endpoint(house, sandbox)
    with (
        pytest.raises(ZeroDivisionError),
        scoped_transaction(house.sessions, client(seeded.client_id)) as session,
    ):
        event = hooks.Event(
            hooks.JOB_FINISHED,
            new_id(),
            seeded.agency_id,
            seeded.client_id,
            dict.fromkeys(hooks.JOB_FINISHED.facts, 0),
        )
        hooks.happened(session, event, now=clock.now(session))
        raise ZeroDivisionError
    publish(house)

    assert told(sandbox) == []
    with pytest.raises(ValueError, match="catalogue"):
        hooks.happened(session, replace(event, data={"email": "x"}), now=hooks.now(house))


def test_a_person_sends_an_event_again_under_its_old_id(
    house: House, sandbox: Sandbox, seeded: Seeded
):
    endpoint_id = endpoint(house, sandbox)
    job_ended(house, seeded)
    publish(house)
    (row,) = deliveries(house)
    acted(house, redeliver.redeliver, row.id)
    drain(house, wrapper=worker(house))
    acted(house, endpoints.disable_endpoint, endpoint_id)
    with pytest.raises(EndpointNotEnabled):
        acted(house, redeliver.redeliver, row.id)
    acted(house, endpoints.enable_endpoint, endpoint_id)
    acted(house, endpoints.delete_endpoint, endpoint_id)
    with pytest.raises(EndpointNotEnabled):
        acted(house, redeliver.redeliver, row.id)

    assert [event["event_id"] for event in told(sandbox)] == [str(row.event_id)] * 2
    (after,) = deliveries(house)
    assert (after.state, after.attempts, len(after.tries)) == ("delivered", 1, 2)
    said = rows(house, "SELECT action FROM audit_entries WHERE action LIKE 'webhook%' ORDER BY id")
    assert [entry.action.split(".")[1] for entry in said] == [
        "made",
        "sent_again",
        "disabled",
        "enabled",
        "deleted",
    ]


def test_sec025_a_name_that_led_outside_when_it_was_given_leads_nowhere_inside_later(
    house: House, sandbox: Sandbox, seeded: Seeded, monkeypatch: pytest.MonkeyPatch
):
    """SEC-25: looked up at each try, and the address that was looked at is the one connected to."""
    endpoint(house, sandbox)
    lookups = iter([True, False])
    asked: list[str] = []

    def may_reach(address: str) -> bool:
        asked.append(address)
        return next(lookups) or addresses.is_public(address)

    transport = VendorTransport(manners=Manners(may_reach=may_reach))
    by = replace(
        courier(key=house.webhook_key, anywhere=True, limits=house.limits, draw=lambda: 0.0),
        transport=transport,
    )
    for _ in range(2):
        job_ended(house, seeded)
        publish(house, wrapper=worker(house, by=by))

    assert [one.outcome for one in deliveries(house)] == ["http_200", "address_forbidden"]
    assert asked == ["127.0.0.1"] * 2
    assert len(told(sandbox)) == 1


def test_sec025_in_production_nothing_goes_to_an_address_inside(
    house: House, sandbox: Sandbox, seeded: Seeded
):
    """SEC-25: the rules hold at each try, whatever was allowed when the endpoint was made."""
    endpoint_id = endpoint(house, sandbox)
    by = courier(key=house.webhook_key, anywhere=False, limits=house.limits, draw=lambda: 0.0)
    for url in (None, "https://localhost.localdomain:8443/", "https://127.0.0.1.nip.invalid/"):
        if url is not None:
            change(house, f"url = '{url}'", [endpoint_id])
        job_ended(house, seeded)
        publish(house, wrapper=worker(house, by=by))

    outcomes = [one.outcome for one in deliveries(house)]
    assert outcomes[0] == "address_forbidden"
    assert set(outcomes[1:]) <= {"address_forbidden", "name_not_resolved"}
    assert told(sandbox) == []
    assert endpoint_now(house, endpoint_id).failing_since is not None
