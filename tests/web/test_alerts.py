"""Alerts over HTTP: seen by whose they are, handled by a person, and kept in the audit log."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from models import clock
from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.alerts.fold import fold_signals
from pipelines.alerts.kinds import POOL_DEPLETED
from pipelines.alerts.raise_alert import raise_alert, settle_alert
from pipelines.wiring import House
from tests.driving import rows
from tests.intake import table_sizes
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, signed_in


def seen(house: House, subject: UUID, seeded: Seeded | None = None, *, level: int = 0) -> None:
    """Trouble of a tenant, or of the platform, noticed and folded."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        raise_alert(
            session,
            POOL_DEPLETED,
            subject_id=subject,
            detail={"cards": 0},
            now=clock.now(session),
            agency_id=seeded and seeded.agency_id,
            client_id=seeded and seeded.client_id,
            level=level,
        )
        fold_signals(session)


def listed(caller: Caller, query: str = "") -> list[dict[str, Any]]:
    return caller.get(f"/alerts{query}").json["data"]


def in_days(house: House, days: float) -> str:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return (clock.now(session) + timedelta(days=days)).isoformat()


def audited(house: House) -> list[tuple[str, Any]]:
    found = rows(
        house,
        "SELECT action, detail->>'reason' AS reason FROM audit_entries "
        "WHERE object_kind = 'alert' ORDER BY at, id",
    )
    return [(row.action, row.reason) for row in found]


def test_s4_011_an_alert_says_what_is_wrong_with_what_and_what_to_do(
    admin: Caller, house: House, seeded: Seeded
):
    seen(house, seeded.csv_pool)
    seen(house, seeded.csv_pool)

    (alert,) = listed(admin)

    assert alert["subject"] == {"kind": "pool", "id": str(seeded.csv_pool)}
    assert (alert["kind"], alert["severity"], alert["state"]) == (
        "pool_depleted",
        "warning",
        "open",
    )
    assert (alert["sentence"], alert["remedy"]) == (POOL_DEPLETED.sentence, POOL_DEPLETED.remedy)
    assert (alert["seen"], alert["detail"]) == (2, {"cards": 0})
    assert admin.get(f"/alerts/{alert['id']}").json == alert


def test_s4_041_a_tenant_sees_its_own_alerts_its_agency_those_and_the_platform_all(
    app: Flask, admin: Caller, house: House, seeded: Seeded
):
    other = seed(house, vendor=False)
    seen(house, seeded.csv_pool, seeded)
    seen(house, other.csv_pool, other)
    seen(house, seeded.buffer_pool)
    agency = signed_in(app, house, Role.AGENCY_VIEWER, seeded)
    client = signed_in(app, house, Role.CLIENT_VIEWER, seeded)

    def subjects(caller: Caller) -> set[str]:
        return {alert["subject"]["id"] for alert in listed(caller)}

    assert subjects(client) == subjects(agency) == {str(seeded.csv_pool)}
    assert subjects(admin) == {
        str(seeded.csv_pool),
        str(other.csv_pool),
        str(seeded.buffer_pool),
    }


def test_s4_041_the_feed_is_filtered_and_walked_page_by_page(
    admin: Caller, house: House, seeded: Seeded
):
    seen(house, seeded.csv_pool)
    seen(house, seeded.buffer_pool)
    admin.post("/alerts", {"note": "The till is open", "severity": "critical"})
    newest = listed(admin)[0]["id"]

    first = admin.get("/alerts?limit=2").json
    second = admin.get(f"/alerts?limit=2&cursor={first['next_cursor']}").json

    assert [len(first["data"]), len(second["data"])] == [2, 1]
    assert (first["has_more"], second["has_more"]) == (True, False)
    assert len({alert["id"] for alert in first["data"] + second["data"]}) == 3
    assert [alert["id"] for alert in listed(admin, "?severity=critical")] == [newest]
    assert [alert["id"] for alert in listed(admin, "?kind=by_hand")] == [newest]
    assert len(listed(admin, "?state=open")) == 3
    assert listed(admin, "?state=resolved") == []
    assert admin.get("/alerts?severity=loud").status_code == 422


def test_s4_041_acknowledging_and_resolving_say_who_and_why_and_are_audited(
    client_admin: Caller, house: House, seeded: Seeded
):
    seen(house, seeded.csv_pool, seeded)
    me = client_admin.get("/auth/me").json["id"]
    path = f"/alerts/{listed(client_admin)[0]['id']}"

    taken = client_admin.post(f"{path}/acknowledge", {"note": "Ordered, ask ann@x.example"}).json
    ended = client_admin.post(f"{path}/resolve").json
    again = client_admin.post(f"{path}/acknowledge")

    assert (taken["state"], taken["acknowledged_by"]) == ("acknowledged", me)
    assert taken["note"].startswith("Ordered, ask ")
    assert "ann@x.example" not in taken["note"]
    assert (ended["state"], ended["resolved_by"], ended["note"]) == ("resolved", me, taken["note"])
    assert (again.status_code, again.json["code"]) == (409, "alert_resolved")
    assert audited(house) == [("alert.acknowledged", taken["note"]), ("alert.resolved", None)]


def test_a_snoozed_alert_rests_until_its_time_and_wakes_when_it_gets_worse(
    admin: Caller, house: House, seeded: Seeded
):
    seen(house, seeded.csv_pool, level=1)
    path = f"/alerts/{listed(admin)[0]['id']}"

    rests = admin.post(f"{path}/snooze", {"until": in_days(house, 1), "note": "Refill is due"})
    seen(house, seeded.csv_pool, level=1)
    still = [alert["state"] for alert in listed(admin, "?state=snoozed")]
    seen(house, seeded.csv_pool, level=2)
    woken = admin.get(path).json

    assert (rests.status_code, rests.json["state"]) == (200, "snoozed")
    assert still == ["snoozed"]
    assert (woken["state"], woken["seen"], woken["snoozed_until"]) == ("open", 3, None)


@pytest.mark.parametrize("days", [-1, 31])
def test_an_alert_is_snoozed_for_a_time_to_come_of_at_most_30_days(
    admin: Caller, house: House, seeded: Seeded, days: float
):
    seen(house, seeded.csv_pool)
    before = listed(admin)

    refused = admin.post(f"/alerts/{before[0]['id']}/snooze", {"until": in_days(house, days)})

    assert refused.status_code == 422
    assert refused.json["errors"][0]["pointer"] == "/until"
    assert (listed(admin), audited(house)) == (before, [])


def test_what_comes_back_after_a_person_resolved_it_is_another_alert(
    admin: Caller, house: House, seeded: Seeded
):
    seen(house, seeded.csv_pool)
    admin.post(f"/alerts/{listed(admin)[0]['id']}/resolve")

    seen(house, seeded.csv_pool)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        settle_alert(session, POOL_DEPLETED, subject_id=seeded.csv_pool, now=clock.now(session))
        fold_signals(session)

    assert [(alert["state"], alert["resolved_by"] is None) for alert in listed(admin)] == [
        ("resolved", True),
        ("resolved", False),
    ]


def test_a_person_raises_an_alert_for_their_own_tenant(
    app: Flask, admin: Caller, client_admin: Caller, house: House, seeded: Seeded
):
    agency = signed_in(app, house, Role.AGENCY_ADMIN, seeded)

    own = client_admin.post("/alerts", {"note": "Cards of May do not work"})
    below = agency.post("/alerts", {"note": "Look at this", "client_id": str(seeded.client_id)})
    agencys = agency.post("/alerts", {"note": "All our clients", "severity": "critical"})
    platform = admin.post("/alerts", {"note": "Everybody"})

    place = {"agency_id": str(seeded.agency_id), "client_id": str(seeded.client_id)}
    assert own.status_code == 201
    assert {name: own.json[name] for name in place} == place
    assert {name: below.json[name] for name in place} == place
    assert (agencys.json["agency_id"], agencys.json["client_id"]) == (str(seeded.agency_id), None)
    assert (platform.json["agency_id"], platform.json["client_id"]) == (None, None)
    assert own.json["note"] == "Cards of May do not work"
    assert [len(listed(one)) for one in (client_admin, agency, admin)] == [2, 3, 4]


def test_nobody_raises_an_alert_for_a_client_out_of_their_sight(client_admin: Caller, house: House):
    other = seed(house, vendor=False)
    before = table_sizes(house)

    refused = client_admin.post("/alerts", {"note": "Mine", "client_id": str(other.client_id)})

    assert (refused.status_code, refused.json["code"]) == (404, "not_found")
    assert table_sizes(house) == before


def test_a_person_chooses_of_which_alerts_they_are_told(
    app: Flask, admin: Caller, house: House, seeded: Seeded
):
    viewer = signed_in(app, house, Role.CLIENT_VIEWER, seeded)

    assert admin.get("/alerts/notices").json == {"severity": "critical", "kinds": None}
    assert viewer.get("/alerts/notices").json == {"severity": "none", "kinds": None}
    chosen = {"severity": "warning", "kinds": ["pool_low"]}
    assert viewer.call("PUT", "/alerts/notices", chosen).json == chosen
    assert viewer.get("/alerts/notices").json == chosen
    wrong = viewer.call("PUT", "/alerts/notices", {"severity": "loud"})
    assert (wrong.status_code, viewer.get("/alerts/notices").json) == (422, chosen)
    assert len(rows(house, "SELECT 1 FROM alert_subscriptions")) == 1


def test_what_is_raised_by_hand_is_told_at_once(
    app: Flask, admin: Caller, client_admin: Caller, house: House
):
    client_admin.post("/alerts", {"note": "Nothing works", "severity": "critical"})
    client_admin.post("/alerts", {"note": "By the way", "severity": "info"})

    mails = rows(house, "SELECT user_id, template FROM outgoing_mails")
    me = UUID(admin.get("/auth/me").json["id"])
    assert [tuple(mail) for mail in mails] == [(me, "alerts")]
