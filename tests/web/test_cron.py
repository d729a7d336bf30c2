"""Outside schedulers look the house over and prove its books, with the cron secret (S4-106, S4-107)."""

import psycopg
import pytest
from flask.testing import FlaskClient

from ops.doctor import monitor_look
from pipelines.wiring import House
from tests.conftest import Database
from tests.driving import cards_csv, import_cards_now, rows
from tests.intake import table_sizes
from tests.seeding import Seeded
from tests.web.conftest import Caller

SECRET = {"Authorization": "Bearer " + "c" * 32}


def test_s4_107_the_answer_has_the_agreed_shape(
    browser: FlaskClient, admin: Caller, house: House, seeded: Seeded
):
    import_cards_now(house, seeded.csv_pool, cards_csv(2))
    body = {"low_watermark": 2}
    rows(house, "UPDATE card_pools SET low_watermark = 2 RETURNING 1")

    answer = browser.post("/api/v1/cron/monitor", headers=SECRET)

    assert answer.status_code == 200
    report = answer.json
    low = [alert for alert in report["alerts"] if alert["subject"]["id"] == str(seeded.csv_pool)]
    assert report["success"] is True
    assert isinstance(report["duration_ms"], int)
    assert report["alerts_generated"] == len(report["alerts"]) == sum(report["breakdown"].values())
    assert report["breakdown"] == {
        "csv_pools": 2,
        "campaigns": 0,
        "agencies": 0,
        "clients": 0,
        "provisioning_failures": 0,
        "engine": 0,
    }
    assert [(alert["kind"], alert["severity"]) for alert in low] == [("pool_low", "warning")]
    assert low[0]["detail"] == {"usable": 2, "issued_in_7_days": 0} | body
    assert {alert["kind"] for alert in admin.get("/alerts").json["data"]} == {
        "pool_low",
        "pool_depleted",
    }


def test_s4_106_the_books_are_proved_and_the_result_is_kept(browser: FlaskClient, house: House):
    answer = browser.post("/api/v1/cron/integrity-check", headers=SECRET)

    assert answer.status_code == 200
    assert (answer.json["success"], answer.json["ok"], answer.json["complete"]) == (True,) * 3
    assert [tuple(row) for row in rows(house, "SELECT name, ok FROM check_runs")] == [
        ("integrity", True)
    ]


@pytest.mark.parametrize("path", ["monitor", "integrity-check"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer " + "d" * 32},
        {"Authorization": "Bearer "},
        {"Authorization": "c" * 32},
        {"Authorization": "Bearer " + "c" * 31 + "ç"},
    ],
)
def test_s4_106_without_the_secret_nothing_is_looked_at(
    browser: FlaskClient, house: House, path: str, headers: dict[str, str]
):
    before = table_sizes(house)

    answer = browser.post(f"/api/v1/cron/{path}", headers=headers)

    assert (answer.status_code, answer.json["code"]) == (401, "unauthenticated")
    assert table_sizes(house) == before


def test_s4_106_nor_is_a_person_s_token_the_secret(admin: Caller):
    assert admin.post("/cron/monitor").status_code == 401


def test_the_doctor_says_when_nobody_looks_any_more(house: House, database: Database):
    with psycopg.connect(database.urls["largesse_readonly"]) as connection:
        fresh = monitor_look(connection)
    rows(
        house,
        "INSERT INTO check_runs (name, at, duration_ms, ok, detail) "
        "VALUES ('monitor', now() - interval '14 minutes', 1, true, '{}') RETURNING 1",
    )
    with psycopg.connect(database.urls["largesse_readonly"]) as connection:
        silent = monitor_look(connection)

    assert fresh.ok
    assert (silent.ok, silent.detail) == (False, "has not looked for 14 min")
    assert "scheduler" in silent.remedy
