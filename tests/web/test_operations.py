"""Health, readiness, metrics and the documentation of the API."""

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text as sql

from models.base import new_id
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.wiring import House
from tests.driving import cards_csv, import_cards_now
from tests.seeding import Seeded
from tests.web.conftest import Caller

OUTSIDE = {"REMOTE_ADDR": "203.0.113.9"}


def test_the_process_and_its_readiness_are_told_apart(browser: FlaskClient):
    assert browser.get("/health").json == {"status": "ok"}
    assert browser.get("/healthz").json == {"status": "ok"}
    ready = browser.get("/readyz")
    assert ready.status_code == 200
    assert ready.json == {
        "status": "ok",
        "checks": {"database": True, "schema": True, "broker": True},
    }


def test_metrics_count_requests_by_template_and_items_by_state(
    manager: Caller, seeded: Seeded, house: House
):
    import_cards_now(house, seeded.csv_pool, cards_csv(2))
    manager.get(f"/clients/{seeded.client_id}")

    text = manager.client.get("/metrics").text

    route = 'route="/api/v1/clients/<uuid:client_id>"'
    assert f'largesse_requests_total{{method="GET",{route},status="200"}} 1.0' in text
    assert 'largesse_items{state="succeeded"} 2.0' in text
    assert 'largesse_jobs{kind="card_import",state="succeeded"} 1.0' in text
    assert "largesse_database_up 1.0" in text
    assert str(seeded.client_id) not in text


def test_sec014_metrics_show_what_did_not_open(browser: FlaskClient, house: House):
    """SEC-14: the alert of `decryption_failed` rests on it; no value, no row."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        statement = "INSERT INTO processes (id, name, host, pid, threads, unopened) VALUES "
        ids = {"one": new_id(), "other": new_id()}
        session.execute(
            sql(f"{statement} (:one, 'web', 'a', 1, 1, 2), (:other, 'web', 'b', 1, 1, 3)"), ids
        )

    assert 'largesse_decryption_failed{process="web"} 5.0' in browser.get("/metrics").text


def test_metrics_are_for_loopback_or_the_secret(browser: FlaskClient):
    """SEC-37"""
    secret = {"Authorization": "Bearer " + "c" * 32}

    assert browser.get("/metrics").status_code == 200
    assert browser.get("/metrics", environ_base=OUTSIDE).status_code == 404
    assert browser.get("/metrics", headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 404
    assert browser.get("/metrics", environ_base=OUTSIDE, headers=secret).status_code == 200


def test_the_document_describes_every_route_of_the_api(app: Flask, browser: FlaskClient):
    spec = browser.get("/api/v1/openapi.json").json

    described = {
        (method.upper(), path)
        for path, operations in spec["paths"].items()
        for method in operations
        if method != "parameters"
    }
    routed = {
        (
            method,
            rule.rule.replace("uuid:", "")
            .replace("string:", "")
            .replace("<", "{")
            .replace(">", "}"),
        )
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/api/v1/") and not rule.rule.endswith("openapi.json")
    }
    assert spec["openapi"] == "3.1.0"
    assert described == routed
    ids = [
        operation["operationId"]
        for operations in spec["paths"].values()
        for method, operation in operations.items()
        if method != "parameters"
    ]
    assert len(ids) == len(set(ids))
    problem = spec["components"]["responses"]["Problem"]["content"]
    assert list(problem) == ["application/problem+json"]


def test_the_page_reads_the_document_with_nothing_inline_and_nothing_from_outside(
    browser: FlaskClient,
):
    page = browser.get("/docs")
    script = browser.get("/docs/start.js")
    bundle = browser.get("/docs/assets/swagger-ui-bundle.js")

    assert page.status_code == 200
    assert "script-src 'self';" in page.headers["Content-Security-Policy"]
    assert "<script>" not in page.text
    assert "http" not in page.text
    assert script.mimetype == "text/javascript"
    assert bundle.status_code == 200
    assert browser.get("/docs/assets/../../../setup.cfg").status_code == 404
