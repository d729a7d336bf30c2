"""The feed of alerts: filtered, handled, and honest about a monitor that does not look (S4-041)."""

from uuid import UUID

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.driving import rows
from tests.seeding import Seeded
from tests.web.console.conftest import Visitor, visitor_of
from tests.web.test_alerts import seen


@pytest.fixture
def root(app: Flask, house: House, seeded: Seeded) -> Visitor:
    return visitor_of(app, house, Role.PLATFORM_ADMIN)


def alert(house: House) -> str:
    (row,) = rows(house, "SELECT id FROM alerts")
    return str(row.id)


def looked(house: House, *, minutes: int, ok: bool = True) -> None:
    rows(
        house,
        "INSERT INTO check_runs (name, at, duration_ms, ok, detail) VALUES ('monitor', "
        "now() - make_interval(mins => :minutes), 1, :ok, '{}') RETURNING 1",
        minutes=minutes,
        ok=ok,
    )


def test_an_empty_feed_is_good_only_while_the_monitor_looks(house: House, root: Visitor):
    never = root.get("/console/alerts").text
    looked(house, minutes=12 + 2)
    silent = root.get("/console/alerts").text
    rows(house, "UPDATE check_runs SET at = now() - interval '2 minutes' RETURNING 1")
    well = root.get("/console/alerts").text

    assert "The monitor has not run yet." in never
    assert "The monitor has not run for 14 min." in silent
    assert "Nothing is known" in silent
    assert "All checks passed 2 min ago." in well
    assert "Nothing is wrong" in well
    assert "has not run" not in well


def test_an_alert_is_told_by_word_and_icon_with_its_subject_and_what_to_do(
    house: House, root: Visitor, seeded: Seeded
):
    looked(house, minutes=1, ok=False)
    seen(house, seeded.csv_pool)

    shown = root.get("/console/alerts").text

    assert "A pool has no usable cards left." in shown
    assert f'href="/console/inventory/pools/{seeded.csv_pool}">Pool</a>: cards 0' in shown
    assert "Import cards or refill the buffer" in shown
    assert "</svg>Warning</span>" in shown
    assert "1 ×" in shown
    assert "The monitor looked 1 min ago." in shown


def test_it_is_acknowledged_snoozed_and_resolved_with_a_note(
    house: House, root: Visitor, seeded: Seeded
):
    looked(house, minutes=1)
    seen(house, seeded.csv_pool)
    address = f"/console/alerts/{alert(house)}"

    def do(verb: str, **fields: str) -> str:
        answer = root.send(f"{address}/{verb}", "/console/alerts", **fields)
        assert answer.status_code == 303, answer.text
        return root.get(
            "/console/alerts?state=resolved" if verb == "resolve" else "/console/alerts"
        ).text

    taken = do("acknowledge", note="On it <b>")
    rests = do("snooze", hours="24")
    over = do("resolve", note="Refilled")

    assert "Acknowledged" in taken
    assert "Note: On it &lt;b&gt;" in taken
    assert "Snoozed" in rests
    assert "Note: Refilled" in over
    assert [
        row.action
        for row in rows(
            house, "SELECT action FROM audit_entries WHERE object_kind = 'alert' ORDER BY at"
        )
    ] == [
        "alert.acknowledged",
        "alert.snoozed",
        "alert.resolved",
    ]


def test_the_feed_is_filtered_and_says_so_when_nothing_fits(
    house: House, root: Visitor, seeded: Seeded
):
    looked(house, minutes=1, ok=False)
    seen(house, seeded.csv_pool)

    fits = root.get("/console/alerts?severity=warning").text
    nothing = root.get("/console/alerts?severity=critical").text

    assert "A pool has no usable cards left." in fits
    assert "No alert fits the filter" in nothing
    assert "Clear the filter" in nothing


def test_an_administrator_looks_now_and_a_tenant_may_not(
    app: Flask, house: House, root: Visitor, seeded: Seeded
):
    bob = visitor_of(app, house, Role.CLIENT_ADMIN, seeded)

    answer = root.send("/console/alerts/check", "/console/alerts")
    refused = bob.send("/console/alerts/check", "/console/alerts")

    assert (answer.status_code, refused.status_code) == (303, 403)
    assert "Check now" not in bob.get("/console/alerts").text
    assert "All checks passed" in root.get("/console/alerts").text


def test_a_visitor_chooses_of_what_to_be_told_and_sees_who_is(
    app: Flask, house: House, seeded: Seeded
):
    bob = visitor_of(app, house, Role.CLIENT_VIEWER, seeded)

    kept = bob.send("/console/alerts/notices", "/console/alerts", severity="warning")
    wrong = bob.send("/console/alerts/notices", "/console/alerts", severity="loud")

    assert (kept.status_code, wrong.status_code) == (303, 422)
    shown = bob.get("/console/alerts").text
    assert ": warning and worse" in shown
    assert '<option value="warning" selected>' in shown
    assert "/resolve" not in shown
    (row,) = rows(house, "SELECT client_id, severity FROM alert_subscriptions")
    assert tuple(row) == (seeded.client_id, "warning")


def test_the_overview_counts_what_is_open_and_leads_there(
    house: House, root: Visitor, seeded: Seeded
):
    seen(house, seeded.csv_pool)
    seen(house, UUID(int=3))

    shown = root.get("/console/").text

    tile = shown.partition('href="/console/alerts">\n')[2].partition("</a>")[0]
    assert "Open alerts" in tile
    assert '<span class="figure">2</span>' in tile
    assert "Warning" in tile
