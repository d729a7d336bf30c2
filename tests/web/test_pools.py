"""Card pools over HTTP: made, filled from a file, counted, and kept inside their tenant."""

import io

from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.driving import cards_csv, drain, rows
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, signed_in


def pool_body(seeded: Seeded, **other: object) -> dict:
    return {
        "brand_id": str(seeded.brand_id),
        "denomination_minor": 5000,
        "currency": "USD",
        "kind": "csv",
        "cost_per_card_minor": 4600,
        "low_watermark": 2,
    } | other


def fill(caller: Caller, pool: str, content: bytes, key: str = "k", query: str = ""):
    return caller.client.post(
        f"/api/v1/gift-card-pools/{pool}/cards{query}",
        data=content,
        content_type="text/csv",
        headers=caller.headers | {"Idempotency-Key": key},
    )


def test_a_pool_is_filled_from_a_file_and_counts_its_cards(
    admin: Caller, seeded: Seeded, house: House
):
    made = admin.post("/gift-card-pools", pool_body(seeded))
    content = cards_csv(3)

    first = fill(admin, made.json["id"], content)
    again = fill(admin, made.json["id"], content)
    other = fill(admin, made.json["id"], content, key="k2")
    drain(house)
    pool = admin.get(f"/gift-card-pools/{made.json['id']}").json

    assert (made.status_code, made.json["health"]) == (201, "empty")
    assert (first.status_code, first.json["kind"]) == (202, "card_import")
    assert (again.status_code, again.json["id"]) == (202, first.json["id"])
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (other.status_code, other.json["code"]) == (409, "duplicate_upload")
    assert (pool["counts"]["available"], pool["health"]) == (3, "healthy")
    assert admin.get(f"/jobs/{first.json['id']}").json["counts"]["succeeded"] == 3


def test_a_form_fills_a_pool_too(admin: Caller, seeded: Seeded, house: House):
    answer = admin.client.post(
        f"/api/v1/gift-card-pools/{seeded.csv_pool}/cards?on_error=skip",
        data={"file": (io.BytesIO(cards_csv(2)), "cards.csv")},
        headers=admin.headers | {"Idempotency-Key": "k"},
    )

    assert answer.status_code == 202
    drain(house)
    assert admin.get(f"/jobs/{answer.json['id']}").json["state"] == "succeeded"


def test_nothing_of_a_wrong_card_is_echoed(admin: Caller, seeded: Seeded, house: House):
    content = b"card_number,pin,expires_on\nCANARY!!9876543210,12,2028-12-31\n"

    job = fill(admin, str(seeded.csv_pool), content).json["id"]
    drain(house)
    answers = [admin.get(f"/jobs/{job}{path}") for path in ("", "/items", "/failures")]
    results = admin.get(f"/jobs/{job}/results.csv")

    assert answers[0].json["state"] == "failed"
    assert all(b"CANARY" not in answer.data for answer in [*answers, results])
    assert rows(house, "SELECT count(*) FROM cards")[0][0] == 0


def test_an_import_needs_a_key_and_a_csv(admin: Caller, seeded: Seeded):
    path = f"/gift-card-pools/{seeded.csv_pool}/cards"

    nameless = admin.post(path, {})
    json = admin.post(path, {}, Idempotency_Key="k")
    missing = fill(admin, str(seeded.csv_pool), b"number\n1\n")
    empty = fill(admin, str(seeded.csv_pool), b"")

    assert (nameless.status_code, nameless.json["code"]) == (400, "idempotency_key_required")
    assert (json.status_code, json.json["code"]) == (415, "unsupported_media_type")
    assert (missing.status_code, missing.json["code"]) == (422, "missing_columns")
    assert (empty.status_code, empty.json["code"]) == (422, "empty_file")


def test_a_client_has_pools_of_its_own_and_sees_their_counts(
    app: Flask, client_admin: Caller, seeded: Seeded, house: House
):
    other = seed(house, vendor=False)
    stranger = signed_in(app, house, Role.CLIENT_ADMIN, other)
    made = client_admin.post("/gift-card-pools", pool_body(seeded))

    fill(client_admin, made.json["id"], cards_csv(2))
    drain(house)

    (listed,) = client_admin.get("/gift-card-pools").json["data"]
    assert listed["client_id"] == str(seeded.client_id)
    assert (listed["counts"]["available"], listed["health"]) == (2, "low")
    assert stranger.get("/gift-card-pools").json["data"] == []
    assert stranger.get(f"/gift-card-pools/{made.json['id']}").status_code == 404
    assert fill(stranger, made.json["id"], cards_csv(2)).status_code == 404


def test_a_pool_in_another_currency_or_made_twice_is_refused(admin: Caller, seeded: Seeded):
    admin.post("/gift-card-pools", pool_body(seeded))

    twice = admin.post("/gift-card-pools", pool_body(seeded))
    foreign = admin.post("/gift-card-pools", pool_body(seeded, currency="EUR"))
    wrong = admin.post("/gift-card-pools", pool_body(seeded, currency="ZZZ"))

    assert (twice.status_code, twice.json["code"]) == (409, "pool_exists")
    assert (foreign.status_code, foreign.json["code"]) == (422, "currency_mismatch")
    assert [e["code"] for e in wrong.json["errors"]] == ["unknown_currency"]
