"""Endpoints over HTTP: whose they are, what is shown of them and when, and what is refused (EC-133, EC-134)."""

from dataclasses import replace

import pytest
from flask import Flask

from models import clock
from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.monitoring.notify import fold_and_tell
from pipelines.settings import Environment
from pipelines.webhooks.catalogue import ALL
from pipelines.webhooks.endpoints import ENDPOINTS_MAX
from pipelines.wiring import House
from tests import hooks
from tests.driving import drain, rows
from tests.intake import table_sizes
from tests.seeding import Seeded, seed
from tests.vendor import Sandbox
from tests.web.conftest import Caller, signed_in
from web.app import create_app

URL = "https://hooks.example.com/in"


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False, credit_minor=0)


def made(caller: Caller, **body: object) -> dict:
    answer = caller.post("/webhook-endpoints", {"url": URL} | body)
    assert answer.status_code == 201, answer.json
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.json


def test_ec134_an_endpoint_s_secret_is_shown_when_it_is_drawn_and_never_again(
    client_admin: Caller, house: House, seeded: Seeded
):
    """EC-134: and kept nowhere."""
    first = made(client_admin, events=["job.finished"], description="Shop")
    path = f"/webhook-endpoints/{first['id']}"
    rotated = client_admin.post(f"{path}/rotate-secret")
    refused = client_admin.post(f"{path}/rotate-secret")
    seen = [client_admin.get(path).json, client_admin.get("/webhook-endpoints").json["data"][0]]

    assert first["secret"].startswith("whsec_")
    assert (rotated.status_code, rotated.headers["Cache-Control"]) == (200, "no-store")
    assert rotated.json["secret"] not in {None, first["secret"]}
    assert rotated.json["old_secret_until"] is not None
    assert (refused.status_code, refused.json["code"]) == (409, "rotation_under_way")
    assert all("secret" not in one for one in seen)
    assert seen[0]["client_id"] == str(seeded.client_id)
    assert seen[0]["events"] == ["job.finished"]


FORBIDDEN = [
    ("http://hooks.example.com/", "scheme"),
    ("http://127.1/", "scheme"),
    ("https://127.1/", "host"),
    ("https://[::ffff:127.0.0.1]/", "host"),
    ("https://169.254.169.254/", "host"),
    ("file:///etc/passwd", "scheme"),
    ("https://user:p@hooks.example.com/", "credentials"),
    ("https://hooks.example.com:22/", "port"),
]


def test_j21_in_production_an_address_inside_is_refused_by_its_rule(house: House, seeded: Seeded):
    """J21, SEC-25"""
    settings = replace(house.settings, environment=Environment.PRODUCTION)
    app = create_app(replace(house, settings=settings))
    caller = signed_in(app, house, Role.AGENCY_ADMIN, seeded)
    before = table_sizes(house)

    answers = [caller.post("/webhook-endpoints", {"url": url}) for url, _rule in FORBIDDEN]

    assert {(answer.status_code, answer.json["code"]) for answer in answers} == {
        (422, "webhook_url_forbidden")
    }
    assert [answer.json["rule"] for answer in answers] == [rule for _url, rule in FORBIDDEN]
    assert table_sizes(house) == before


NO_ENDPOINTS: list[dict] = [
    {},
    {"url": 7},
    {"url": URL, "events": []},
    {"url": URL, "events": ["card.number"]},
    {"url": URL, "events": "job.finished"},
    {"url": URL, "client_id": "x"},
    {"url": URL, "secret": "mine"},
    {"url": URL, "description": "a\nb"},
    {"url": "https://hooks.example.com/" + "a" * 3000},
]


def test_a_body_that_says_no_endpoint_makes_none(client_admin: Caller, house: House):
    before = table_sizes(house)

    answers = [client_admin.post("/webhook-endpoints", body) for body in NO_ENDPOINTS]

    assert {answer.status_code for answer in answers} == {422}
    assert all(answer.json["errors"] for answer in answers[:-1])
    assert answers[-1].json["rule"] == "too_long"
    assert table_sizes(house) == before


def test_an_endpoint_is_the_callers_or_a_clients_below(
    app: Flask, admin: Caller, house: House, seeded: Seeded
):
    stranger = seed(house, vendor=False, credit_minor=0)
    agency = signed_in(app, house, Role.AGENCY_ADMIN, seeded)
    other = signed_in(app, house, Role.AGENCY_ADMIN, stranger)
    places = [
        made(admin),
        made(agency),
        made(agency, client_id=str(seeded.client_id)),
    ]
    refused = other.post("/webhook-endpoints", {"url": URL, "client_id": str(seeded.client_id)})

    assert [(one["agency_id"], one["client_id"]) for one in places] == [
        (None, None),
        (str(seeded.agency_id), None),
        (str(seeded.agency_id), str(seeded.client_id)),
    ]
    assert refused.status_code == 404
    assert [len(c.get("/webhook-endpoints").json["data"]) for c in (admin, agency, other)] == [
        3,
        2,
        0,
    ]


def test_a_tenant_has_so_many_endpoints_and_no_more(client_admin: Caller, house: House):
    for _ in range(ENDPOINTS_MAX):
        one = made(client_admin)
    refused = client_admin.post("/webhook-endpoints", {"url": URL})
    gone = client_admin.call("DELETE", f"/webhook-endpoints/{one['id']}")

    assert (refused.status_code, refused.json["code"]) == (409, "too_many_endpoints")
    assert gone.status_code == 204
    assert client_admin.get(f"/webhook-endpoints/{one['id']}").status_code == 404
    assert client_admin.call("DELETE", f"/webhook-endpoints/{one['id']}").status_code == 404
    made(client_admin)


def test_an_endpoint_is_changed_disabled_and_enabled(client_admin: Caller, house: House):
    path = f"/webhook-endpoints/{made(client_admin)['id']}"
    answers = [
        client_admin.call("PATCH", path, {"events": ["alert.raised"], "url": f"{URL}/2"}),
        client_admin.call("PATCH", path, {"events": None}),
        client_admin.call("PATCH", path, {"url": "https://u:p@x.example/"}),
        client_admin.post(f"{path}/disable"),
        client_admin.post(f"{path}/disable"),
        client_admin.post(f"{path}/enable"),
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 422, 200, 200, 200]
    assert (answers[0].json["events"], answers[0].json["url"]) == (["alert.raised"], f"{URL}/2")
    assert (answers[1].json["events"], answers[1].json["url"]) == (None, f"{URL}/2")
    assert [answers[n].json["state"] for n in (3, 4, 5)] == ["disabled", "disabled", "enabled"]
    assert answers[4].json["disabled_for"] == "by_person"
    said = rows(house, "SELECT action, detail FROM audit_entries ORDER BY id")
    assert [entry.action for entry in said if "webhook" in entry.action] == [
        "webhook_endpoint.made",
        "webhook_endpoint.changed",
        "webhook_endpoint.changed",
        "webhook_endpoint.disabled",
        "webhook_endpoint.enabled",
    ]
    assert URL not in str([entry.detail for entry in said])


def test_ec133_a_test_and_a_retry_show_what_came_of_them(
    client_admin: Caller, house: House, sandbox: Sandbox, seeded: Seeded
):
    """EC-133"""
    one = made(client_admin, url=f"{sandbox.url}/receiver/hook")
    path = f"/webhook-endpoints/{one['id']}"
    sandbox.arm_receiver(status={"next": 1, "status": 503})
    first = client_admin.post(f"{path}/test", Idempotency_Key="k")
    again = client_admin.post(f"{path}/test", Idempotency_Key="k")
    drain(house)
    failed = client_admin.get(first.headers["Location"].removeprefix("/api/v1")).json
    retried = client_admin.post(f"/webhook-deliveries/{failed['id']}/retry")
    drain(house)
    listed = client_admin.get(f"/webhook-deliveries?endpoint_id={one['id']}&state=delivered").json

    assert (first.status_code, again.status_code, retried.status_code) == (202, 202, 202)
    assert first.json["id"] == again.json["id"]
    assert (failed["state"], failed["outcome"], failed["attempts"]) == ("failed", "http_503", 1)
    (after,) = listed["data"]
    assert [one["outcome"] for one in after["tries"]] == ["http_503", "http_200"]
    assert after["type"] == "webhook.test"
    assert [event["event_id"] for event in hooks.told(sandbox)] == [after["event_id"]] * 2
    body = sandbox.received()[0]
    assert hooks.verified(*body, one["secret"], now=hooks.now(house))


def test_ec133_who_made_a_failing_endpoint_is_mailed_and_who_chose_otherwise_is_not(
    app: Flask, house: House, sandbox: Sandbox, seeded: Seeded
):
    """EC-133: without having subscribed to anything."""
    owner, silent = (
        signed_in(app, house, Role.CLIENT_ADMIN, seeded, name=name) for name in ("a", "b")
    )
    silent.call("PUT", "/alerts/notices", {"severity": "none"})
    for caller in (owner, silent):
        made(caller, url=f"{sandbox.url}/receiver/hook", events=["job.finished"])
    sandbox.arm_receiver(status={"always": True})
    hooks.job_ended(house, seeded)
    hooks.publish(house)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        fold_and_tell(session, keyring=house.settings.keyring, now=clock.now(session))

    (mail,) = rows(house, "SELECT user_id FROM outgoing_mails WHERE template = 'alerts'")
    assert str(mail.user_id) == owner.get("/auth/me").json["id"]


def test_the_types_of_events_are_told(client_admin: Caller):
    told = client_admin.get("/webhook-event-types").json["data"]

    assert [one["type"] for one in told] == list(ALL)
    assert all(one["facts"] and one["sentence"] for one in told)
