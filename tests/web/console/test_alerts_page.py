"""The feed of alerts: filtered, handled, and honest about a monitor that does not look (S4-041)."""

import re
from uuid import UUID

import pytest
from flask import Flask

from models import clock
from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.alerts import kinds
from pipelines.alerts.fold import fold_signals
from pipelines.alerts.raise_alert import raise_alert
from pipelines.wiring import House
from tests.driving import recipients_csv, rows, submit
from tests.seeding import Seeded, seed
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
    about = f"Pool Brand {seeded.brand_id}, $25.00"

    shown = root.get("/console/alerts").text

    assert "A pool has no usable cards left." in shown
    assert f'href="/console/inventory/pools/{seeded.csv_pool}">{about}</a>: cards 0' in shown
    assert "Import cards or refill the buffer" in shown
    assert "</svg>Warning</span>" in shown
    assert "1 ×" in shown
    assert "The monitor looked 1 min ago." in shown


def test_every_alert_names_its_subject_where_it_has_a_name(
    house: House, root: Visitor, seeded: Seeded
):
    """What is gone, or has none, is told by its kind alone, as before."""
    job_id = submit(house, seeded, recipients_csv(1))
    (route,) = rows(house, "SELECT id FROM brand_routes")
    about = {
        kinds.LOW_CREDIT: (seeded.client_account, "Account Client, USD"),
        kinds.CAMPAIGN_DEPLETED: (seeded.campaign_id, "Campaign Campaign"),
        kinds.PROVISIONING_FAILURES: (seeded.client_id, "Client Client"),
        kinds.JOB_STALLED: (job_id, "Job of Campaign"),
        kinds.MARGIN_BELOW_FLOOR: (seeded.brand_id, f"Brand Brand {seeded.brand_id}"),
        kinds.ROUTE_SELLS_AT_LOSS: (route.id, f"Route Brand {seeded.brand_id} by reloadly"),
        kinds.POOL_LOW: (seeded.client_id, "Pool"),
        kinds.DEAD_LETTERS: (None, "Task"),
    }
    with scoped_transaction(house.sessions, SYSTEM) as session:
        for kind, (subject, _words) in about.items():
            raise_alert(session, kind, subject_id=subject, detail={}, now=clock.now(session))
        fold_signals(session)

    shown = root.get("/console/alerts").text

    told = re.findall(r'<span class="sub">(?:<a href="[^"]+">)?([^<]+?)(?:</a>)?</span>', shown)
    assert {words for _subject, words in about.values()} <= set(told)


def test_a_tenant_reads_the_names_of_its_own_scope(
    app: Flask, house: House, seeded: Seeded, bob: Visitor
):
    """Another's campaign stays nameless, whatever id an alert of the tenant's carries."""
    other = seed(house, vendor=False)
    place = {"agency_id": seeded.agency_id, "client_id": seeded.client_id}
    rows(
        house,
        "UPDATE campaigns SET name = 'Secret' WHERE id = :id RETURNING 1",
        id=other.campaign_id,
    )
    with scoped_transaction(house.sessions, SYSTEM) as session:
        for kind, subject in (
            (kinds.CAMPAIGN_DEPLETED, other.campaign_id),
            (kinds.CAMPAIGN_DEPLETED, seeded.campaign_id),
            (kinds.LOW_CREDIT, seeded.client_account),
            (kinds.POOL_LOW, seeded.csv_pool),
            (kinds.JOB_STALLED, seeded.campaign_id),
            (kinds.MARGIN_BELOW_FLOOR, seeded.brand_id),
            (kinds.ORDER_IN_REVIEW, seeded.brand_id),
            (kinds.ROUTE_SELLS_AT_LOSS, seeded.brand_id),
        ):
            now = clock.now(session)
            raise_alert(session, kind, subject_id=subject, detail={}, now=now, **place)
        fold_signals(session)
    agency = visitor_of(app, house, Role.AGENCY_ADMIN, seeded)

    for visitor in (bob, agency):
        shown = visitor.get("/console/alerts").text
        assert "Campaign Campaign</a>" in shown
        assert ">Campaign</a>" in shown
        assert "Secret" not in shown


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
