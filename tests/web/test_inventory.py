"""Pools changed, files recalled and the stock by source, over HTTP; each caller sees its own."""

import pytest
from flask import Flask
from sqlalchemy import insert

from models.database import scoped_transaction
from models.people import Role
from models.scope import PLATFORM
from models.tenants import ClientBrand
from pipelines.wiring import House
from tests.driving import cards_csv, drain, hasten, import_cards_now, recipients_csv, rows, submit
from tests.proof import assert_proven
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, signed_in
from tests.web.console.conftest import visitor_of
from tests.web.test_pools import pool_body


def test_s4_008_a_pool_is_changed_and_the_change_is_told(
    admin: Caller, seeded: Seeded, house: House
):
    """S4-008, S4-037: threshold, cost and source, each as before and after."""
    path = f"/gift-card-pools/{seeded.csv_pool}"
    import_cards_now(house, seeded.csv_pool, cards_csv(3))

    changed = admin.call("PATCH", path, {"low_watermark": 3, "disabled": True}, Idempotency_Key="k")
    again = admin.call("PATCH", path, {"low_watermark": 3, "disabled": True}, Idempotency_Key="k")
    nothing = admin.call("PATCH", path, {})

    assert (changed.status_code, changed.json["health"]) == (200, "low")
    assert (changed.json["health_rule"], changed.json["disabled"]) == ("Low: 3 or fewer", True)
    assert (changed.json["cost_average_minor"], changed.json["cost_missing"]) == (2300, 0)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert nothing.status_code == 422
    (told,) = rows(house, "SELECT detail FROM audit_entries WHERE action = 'pool.changed'")
    assert told.detail == {"low_watermark": [0, 3], "disabled": [False, True]}


def test_s4_038_the_stock_is_shown_by_source(admin: Caller, seeded: Seeded, house: House):
    import_cards_now(house, seeded.csv_pool, cards_csv(2))
    import_cards_now(house, seeded.buffer_pool, cards_csv(3, "BUFF"))

    (line,) = admin.get("/inventory").json

    assert (line["denomination_minor"], line["currency"]) == (2500, "USD")
    assert {kind: counts["available"] for kind, counts in line["by_source"].items()} == {
        "csv": 2,
        "buffer": 3,
    }
    assert line["counts"]["available"] == 5
    assert line["health"] == "healthy"
    assert line["api"]["on_the_way"] == 0
    assert {pool["id"] for pool in line["pools"]} == {
        str(seeded.csv_pool),
        str(seeded.buffer_pool),
    }


def test_a_client_sees_its_own_stock_without_costs_and_suppliers(
    client_admin: Caller, seeded: Seeded, house: House
):
    made = client_admin.post("/gift-card-pools", pool_body(seeded)).json
    import_cards_now(house, seeded.csv_pool, cards_csv(2))

    (line,) = client_admin.get("/inventory").json

    assert [pool["id"] for pool in line["pools"]] == [made["id"]]
    assert line["api"] is None
    assert "cost" not in repr(line)


def test_a_client_s_pool_of_a_brand_it_may_not_draw_on_is_not_shown(
    client_admin: Caller, seeded: Seeded, house: House
):
    made = client_admin.post("/gift-card-pools", pool_body(seeded)).json
    other = seed(house, vendor=False)
    with scoped_transaction(house.sessions, PLATFORM) as session:
        session.execute(
            insert(ClientBrand).values(
                client_id=seeded.client_id,
                brand_id=other.brand_id,
                agency_id=seeded.agency_id,
            )
        )

    refused = client_admin.post("/gift-card-pools", pool_body(seeded, denomination_minor=100))

    assert client_admin.get("/inventory").json == []
    assert client_admin.get(f"/gift-card-pools/{made['id']}").status_code == 404
    assert (refused.status_code, refused.json["code"]) == (422, "brand_unavailable")


def test_a_file_is_recalled_over_http_and_what_was_given_is_listed(
    app: Flask, admin: Caller, seeded: Seeded, house: House
):
    batch = import_cards_now(house, seeded.csv_pool, cards_csv(3))["id"]
    rows(
        house,
        "UPDATE cards SET state = 'void' WHERE id = (SELECT min(id::text)::uuid FROM cards) RETURNING 1",
    )

    reasonless = admin.post(f"/card-batches/{batch}/quarantine", {})
    first = admin.post(f"/card-batches/{batch}/quarantine", {"reason": "r"}, Idempotency_Key="k")
    again = admin.post(f"/card-batches/{batch}/quarantine", {"reason": "r"}, Idempotency_Key="k")
    listed = admin.get(f"/card-batches/{batch}/cards?state=quarantined").json["data"]
    (page,) = admin.get(f"/gift-card-pools/{seeded.csv_pool}/batches").json["data"]
    released = admin.post(f"/cards/{listed[0]['id']}/release", {"reason": "one is fine"})
    rejects = admin.get(f"/card-batches/{batch}/rejects.csv")

    assert reasonless.status_code == 422
    assert first.json["cards"] == again.json["cards"] == {"quarantined": 2, "void": 1}
    assert again.headers["Idempotent-Replayed"] == "true"
    assert first.json["quarantined_at"] is not None
    assert [card["row"] for card in listed] == [2, 3]
    assert (page["id"], page["rows"]["imported"]) == (str(batch), 3)
    assert (released.status_code, released.json["state"]) == (200, "available")
    assert rejects.data.decode("utf-8-sig").splitlines() == ['"row","field","code","sentence"']


@pytest.mark.parametrize("role", [Role.CLIENT_ADMIN, Role.AGENCY_ADMIN])
def test_a_tenant_moves_no_cards_but_its_own(
    app: Flask, client_admin: Caller, seeded: Seeded, house: House, role: Role
):
    is_client = role is Role.CLIENT_ADMIN
    tenant = client_admin if is_client else signed_in(app, house, role, seeded)
    shared = import_cards_now(house, seeded.csv_pool, cards_csv(1))["id"]
    own_pool = client_admin.post("/gift-card-pools", pool_body(seeded)).json["id"]
    own = import_cards_now(house, own_pool, cards_csv(1, "OWN"))["id"]
    card = rows(house, "SELECT id FROM cards WHERE import_job_id = :shared", shared=shared)[0].id

    for path in (f"/card-batches/{shared}", f"/cards/{card}"):
        assert tenant.post(f"{path}/quarantine", {"reason": "r"}).status_code == 404
    own_card = rows(house, "SELECT id FROM cards WHERE import_job_id = :own", own=own)[0].id
    assert tenant.post(f"/cards/{own_card}/quarantine", {"reason": "r"}).status_code == 200
    for path in (f"/card-batches/{own}", f"/cards/{own_card}"):
        assert tenant.post(f"{path}/release", {"reason": "r"}).status_code == 200
    assert {row.state for row in rows(house, "SELECT state FROM cards")} == {"available"}


def served_card(house: House, seeded: Seeded) -> str:
    import_cards_now(house, seeded.csv_pool, cards_csv(4))
    submit(house, seeded, recipients_csv(1))
    drain(house)
    return str(rows(house, "SELECT id FROM provisions")[0].id)


def test_ec067_a_card_is_reported_over_http_and_a_further_one_is_agreed_to(
    app: Flask, client_admin: Caller, seeded: Seeded, house: House
):
    """EC-067: the second replacement waits until somebody else agrees; then it is given."""
    path = f"/gift-cards/{served_card(house, seeded)}/report-defective"
    body = {"reason": "Empty at the till"}
    colleague = signed_in(app, house, Role.AGENCY_ADMIN, seeded)

    first = client_admin.post(path, body, Idempotency_Key="a")
    again = client_admin.post(path, body, Idempotency_Key="b")
    hasten(house)
    drain(house)
    second_card = rows(house, "SELECT id FROM provisions WHERE replaced_at IS NULL")[0].id
    path = f"/gift-cards/{second_card}/report-defective"
    refused = client_admin.post(path, body, Idempotency_Key="c")
    asked = client_admin.post(path, body | {"ask_approval": True}, Idempotency_Key="d")
    same = client_admin.post(path, body | {"ask_approval": True}, Idempotency_Key="d")
    waiting = client_admin.post(path, body | {"ask_approval": True}, Idempotency_Key="e")
    approval = f"/approvals/{asked.json['id']}/approve"
    own = client_admin.post(approval)
    page = visitor_of(app, house, Role.CLIENT_ADMIN, seeded).get("/console/approvals").text
    agreed = colleague.post(approval)
    hasten(house)
    drain(house)

    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json["id"] == again.json["id"]
    assert (refused.status_code, refused.json["code"]) == (409, "replacement_limit")
    assert (asked.status_code, asked.json["kind"]) == (202, "cards.replacement")
    assert (same.json["id"], same.headers["Idempotent-Replayed"]) == (asked.json["id"], "true")
    assert waiting.json["approval_id"] == asked.json["id"]
    assert own.json["code"] == "self_approval"
    assert "Give a recipient a further card" in page
    assert (agreed.status_code, agreed.json["state"]) == (200, "approved")
    third = client_admin.get(f"/jobs/{agreed.json['result_id']}").json
    assert third["state"] == "succeeded"
    old = client_admin.get(f"/jobs/{first.json['id']}").json
    assert (old["error"]["code"], old["error"]["replacement_job_id"]) == (
        "provision_replaced",
        agreed.json["result_id"],
    )
    assert_proven(house)
