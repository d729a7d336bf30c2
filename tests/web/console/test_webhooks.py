"""Webhooks at the console: made and shown once, tried, sent again, given another secret, ended (EC-133, EC-134)."""

import re

import pytest
from flask import Flask

from models.people import Role
from pipelines.webhooks.endpoints import ENDPOINTS_MAX
from pipelines.wiring import House
from tests import hooks
from tests.driving import drain, rows
from tests.seeding import Seeded
from tests.vendor import Sandbox
from tests.web.console.conftest import SAME_ORIGIN, Visitor, visitor_of

NEW = "/console/webhooks/new"
SECRET = re.compile(r'id="secret" value="(whsec_[\w-]{43})"')
NAMES = re.compile(r'name="(csrf_token|form_name)" value="([\w.-]+)"')


def made(visitor: Visitor, url: str = "https://hooks.example.com/in", **fields: object):
    answer = visitor.send(NEW, url=url, **fields)
    assert answer.status_code == 200, answer.text
    return answer


def only(house: House):
    (row,) = rows(house, "SELECT * FROM webhook_endpoints")
    return row


def test_ec134_a_secret_is_shown_once_and_two_sign_for_a_day(house: House, bob: Visitor):
    """EC-134"""
    first = SECRET.search(made(bob, events="job.finished", description="Shop").text)
    row = only(house)
    home = f"/console/webhooks/{row.id}"
    second = SECRET.search(bob.send(f"{home}/rotate").text)
    refused = bob.send(f"{home}/rotate")
    page = bob.get(home).text

    assert first is not None
    assert second is not None
    assert first[1] != second[1]
    assert second[1] == hooks.secret(house, row.id, 2)
    assert (row.events, row.description) == (["job.finished"], "Shop")
    assert (refused.status_code, "rotate again when it has ended" in refused.text.lower()) == (
        409,
        True,
    )
    assert "Two secrets sign until" in page
    assert first[1] not in page
    assert second[1] not in page
    assert row.url in bob.get("/console/webhooks").text


def test_a_form_sent_twice_makes_one_and_shows_its_secret_once(house: House, bob: Visitor):
    sent = dict(NAMES.findall(bob.get(NEW).text)) | {"url": "https://hooks.example.com/in"}

    first, again = (bob.client.post(NEW, data=sent, headers=SAME_ORIGIN) for _ in range(2))

    assert SECRET.search(first.text) is not None
    assert SECRET.search(again.text) is None
    assert "was shown then" in again.text
    assert only(house).url == sent["url"]


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"url": ""}, "url"),
        ({"url": "ftp://hooks.example.com/"}, "url"),
        ({"url": "https://u:p@hooks.example.com/"}, "url"),
        ({"url": "https://hooks.example.com/", "description": "x" * 201}, "description"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(
    house: House, bob: Visitor, typed: dict[str, str], field: str
):
    answer = bob.send(NEW, **typed)

    assert answer.status_code == 422
    assert f'<a href="#{field}">' in answer.text
    assert f'id="{field}-wrong"' in answer.text
    assert rows(house, "SELECT 1 FROM webhook_endpoints") == []


def test_an_agency_chooses_whose_it_is(app: Flask, house: House, seeded: Seeded):
    agency = visitor_of(app, house, Role.AGENCY_ADMIN, seeded)
    made(agency)
    made(agency, client_id=seeded.client_id)
    stranger = agency.send(NEW, url="https://hooks.example.com/", client_id=seeded.agency_id)

    found = rows(house, "SELECT agency_id, client_id FROM webhook_endpoints ORDER BY id")
    assert [(row.agency_id, row.client_id) for row in found] == [
        (seeded.agency_id, None),
        (seeded.agency_id, seeded.client_id),
    ]
    assert stranger.status_code == 422
    for _ in range(ENDPOINTS_MAX - 1):
        made(agency)
    assert "There are 20 endpoints already" in agency.send(NEW, url="https://a.example/").text


def test_ec133_a_test_and_an_event_sent_again_are_shown_with_their_answers(
    house: House, bob: Visitor, sandbox: Sandbox, seeded: Seeded
):
    """EC-133"""
    made(bob, f"{sandbox.url}/receiver/hook")
    home = f"/console/webhooks/{only(house).id}"
    empty = bob.get(home).text
    sandbox.arm_receiver(status={"next": 1, "status": 503})
    sent = bob.client.post(f"{home}/test", data=dict(NAMES.findall(empty)), headers=SAME_ORIGIN)
    drain(house)
    failed = bob.get(home).text
    (row,) = hooks.deliveries(house)
    again = bob.send(f"/console/webhook-deliveries/{row.id}/retry", shown_at=home)
    drain(house)
    after = bob.get(f"{home}?state=delivered").text

    assert "Nothing was sent yet" in empty
    assert (sent.status_code, "done=tested" in sent.headers["Location"]) == (303, True)
    assert ("Answered 503" in failed, "1 of 1" in failed) == (True, True)
    assert again.status_code == 303
    assert "Answered 200" in after
    assert "No delivery fits" in bob.get(f"{home}?state=waiting").text
    assert [event["is_test"] for event in hooks.told(sandbox)] == [True, True]


def test_an_endpoint_is_disabled_enabled_and_deleted_after_a_question(
    house: House, bob: Visitor, sandbox: Sandbox, seeded: Seeded
):
    made(bob, f"{sandbox.url}/receiver/hook")
    home = f"/console/webhooks/{only(house).id}"
    hooks.job_ended(house, seeded)
    hooks.publish(house)
    sent = bob.get(home).text
    bob.send(f"{home}/disable", shown_at=f"{home}/delete")
    disabled = bob.get(home).text
    (row,) = hooks.deliveries(house)
    refused = bob.send(f"/console/webhook-deliveries/{row.id}/retry", shown_at=f"{home}/delete")
    bob.send(f"{home}/enable", shown_at=f"{home}/delete")
    enabled = only(house).state
    question = bob.get(f"{home}/delete").text
    bob.send(f"{home}/delete")

    assert "job.finished" in sent
    assert "Disabled" in disabled
    assert "by a person" in disabled
    assert (refused.status_code, "Enable it first" in refused.text) == (409, True)
    assert enabled == "enabled"
    assert "Delete this webhook?" in question
    assert only(house).state == "deleted"
    assert bob.get(home).status_code == 404
    assert "No webhooks yet" in bob.get("/console/webhooks").text


def test_who_may_only_look_sees_no_button(app: Flask, house: House, bob: Visitor, seeded: Seeded):
    made(bob)
    home = f"/console/webhooks/{only(house).id}"
    viewer = visitor_of(app, house, Role.AGENCY_VIEWER, seeded)
    manager = visitor_of(app, house, Role.CAMPAIGN_MANAGER, seeded)

    page = viewer.get(home).text
    assert "<form" not in page.partition("<main")[2]
    assert "New webhook" not in viewer.get("/console/webhooks").text
    assert viewer.get(NEW).status_code == 403
    assert manager.get(home).status_code == 403
