"""The inbox of Stripe's events for operators: what waits, whether we are told, one event again (EC-131)."""

import base64
import re
from html import unescape
from typing import Any

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.buying import full_purchase
from tests.driving import change, rows
from tests.seeding import Seeded
from tests.web.conftest import signed_in
from tests.web.console.conftest import Visitor, visitor_of

HOME = "/console/stripe-events"


@pytest.fixture
def root(app: Flask, house: House) -> Visitor:
    """The platform's administrator."""
    return visitor_of(app, house, Role.PLATFORM_ADMIN)


def put(house: House, event_id: str, state: str = "handled", **told: Any) -> None:
    """An event in the inbox, an hour after it happened."""
    values = {"payment": None, "pulled": False, "place": 0, "ago": "1 hour"} | told
    change(
        house,
        "INSERT INTO stripe_events (id, own_id, type, object_id, news, state, payment_id, livemode, "
        "happened_at, received_at, was_pulled, secret_place) VALUES (:id, gen_random_uuid(), 'charge.succeeded', "
        "'ch_1', '{}', :state, :payment, false, now() - CAST(:ago AS interval) - interval '1 hour', "
        "now() - CAST(:ago AS interval), :pulled, :place)",
        id=event_id,
        state=state,
        **values,
    )


def listed(page: str) -> list[str]:
    return re.findall(rf'<a class="mono" href="{HOME}/([^"]*)">', page)


def test_ec131_an_empty_inbox_says_who_tells_and_that_nobody_did(root: Visitor) -> None:
    shown = unescape(root.get(HOME).text)

    assert "No event yet" in shown
    assert "POST /api/v1/webhooks/stripe" in shown
    assert "Payments are not set up here" in shown
    assert ">Stripe events</a>" in shown


def test_events_are_counted_by_what_they_wait_for_and_listed_by_state(
    house: House, root: Visitor
) -> None:
    for number, state in enumerate(
        ("received", "unmatched", "unmatched", "needs_review", "mode_mismatch", "handled")
    ):
        put(house, f"evt_{number}", state, ago=f"{9 - number} minutes")

    shown = root.get(HOME).text

    counts = re.findall(r">([\d,]+ (?:wait|need|are)[^<]*)</a>", shown)
    assert counts == [
        "1 wait for a worker",
        "2 wait for their payment",
        "1 need a person",
        "1 are of another mode or account",
    ]
    assert listed(shown) == [f"evt_{number}" for number in range(5, -1, -1)]
    assert listed(root.get(f"{HOME}?state=unmatched").text) == ["evt_2", "evt_1"]
    assert len(listed(root.get(f"{HOME}?state=none-such").text)) == 6
    assert "No event is in this state" in root.get(f"{HOME}?state=stale").text


def test_a_page_of_events_leads_to_the_older_ones(
    house: House, root: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.console.stripe_events.PAGE_SIZE", 2)
    for number in range(3):
        put(house, f"evt_{number}", ago=f"{9 - number} minutes")

    first = root.get(HOME).text
    (older,) = re.findall(r'rel="next" href="([^"]*)"', first)

    assert listed(first) == ["evt_2", "evt_1"]
    assert listed(root.get(unescape(older)).text) == ["evt_0"]


def test_a_cursor_leads_on_though_its_event_was_forgotten(
    app: Flask, house: House, root: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S2-102: the console and `GET /webhooks/events` go on from a place, not from a row."""
    monkeypatch.setattr("web.console.stripe_events.PAGE_SIZE", 2)
    admin = signed_in(app, house, Role.PLATFORM_ADMIN, name="other.")
    for number in range(4):
        put(house, f"evt_{number}", ago=f"{9 - number} minutes")
    first = admin.get("/webhooks/events?limit=2").json
    (older,) = re.findall(r'rel="next" href="([^"]*)"', root.get(HOME).text)
    change(house, "DELETE FROM stripe_events WHERE id = 'evt_2'")

    second = admin.get(f"/webhooks/events?limit=2&cursor={first['next_cursor']}").json

    assert [event["id"] for event in first["data"]] == ["evt_3", "evt_2"]
    assert [event["id"] for event in second["data"]] == ["evt_1", "evt_0"]
    assert (second["has_more"], second["next_cursor"]) == (False, None)
    assert listed(root.get(unescape(older)).text) == ["evt_1", "evt_0"]
    strange = [base64.urlsafe_b64encode(f"after:{text}".encode()) for text in ("evt_1", "2026 \0")]
    refused = [admin.get(f"/webhooks/events?cursor={text.decode()}") for text in strange]
    assert [answer.json["code"] for answer in refused] == ["invalid_cursor"] * 2
    assert len(listed(root.get(f"{HOME}?before=evt_1").text)) == 2


def test_one_event_tells_what_is_known_and_leads_to_its_purchase(
    house: House, seeded: Seeded, root: Visitor
) -> None:
    purchase_id = full_purchase(house, seeded)
    put(house, "evt_1", payment=purchase_id, place=1)

    shown = unescape(root.get(f"{HOME}/evt_1").text)

    assert f'href="/console/purchases/{purchase_id}"' in shown
    assert "What it says was new, and is done." in shown
    assert "With an older secret, number 2 of ours" in shown
    assert "Told 1 time" in shown
    assert "ch_1" in shown
    assert "is not kept" in shown
    assert root.get(f"{HOME}/evt_2").status_code == 404


def test_s2_104_an_event_is_handled_once_more_from_its_page(house: House, root: Visitor) -> None:
    put(house, "evt_1", "needs_review")

    done = root.send(f"{HOME}/evt_1/replay", f"{HOME}/evt_1")

    assert done.headers["Location"] == f"{HOME}/evt_1?done=again"
    assert "It is handled once more in a moment." in root.get(done.headers["Location"]).text
    assert rows(house, "SELECT state FROM stripe_events") == [("received",)]
    assert rows(house, "SELECT 1 FROM tasks WHERE kind = 'handle_event'") == [(1,)]
    told = rows(house, "SELECT detail FROM audit_entries WHERE action = 'stripe_event.replayed'")
    assert [row.detail["event_id"] for row in told] == ["evt_1"]


def test_an_event_of_another_mode_is_not_handled_and_its_page_says_why(
    house: House, root: Visitor
) -> None:
    put(house, "evt_1", "mode_mismatch")

    refused = root.send(f"{HOME}/evt_1/replay", f"{HOME}/evt_1")

    assert refused.status_code == 409
    assert 'aria-describedby="replay-why"' in root.get(f"{HOME}/evt_1").text
    assert rows(house, "SELECT state FROM stripe_events") == [("mode_mismatch",)]


def test_support_looks_and_no_tenant_does(
    app: Flask, house: House, seeded: Seeded, bob: Visitor
) -> None:
    put(house, "evt_1")
    support = visitor_of(app, house, Role.PLATFORM_SUPPORT)

    shown = support.get(f"{HOME}/evt_1").text

    assert "Only the platform’s administrators handle events again." in unescape(shown)
    assert support.send(f"{HOME}/evt_1/replay", "/console/account").status_code == 403
    assert [bob.get(path).status_code for path in (HOME, f"{HOME}/evt_1")] == [403, 403]
    assert HOME not in bob.get("/console/").text
