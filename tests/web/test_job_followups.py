"""Undo and clone over HTTP: previewed, accepted once, refused clearly, and told afterwards."""

from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient

from models.base import new_id
from models.people import Role
from pipelines.provisioning.reveal import reveal_token
from pipelines.wiring import House
from tests.driving import (
    cards_csv,
    drain,
    hasten,
    import_cards_now,
    recipients_csv,
    rows,
    submit,
)
from tests.intake import accept_cards, table_sizes
from tests.seeding import Seeded, seed
from tests.undoing import provision_of, served_job, undo
from tests.web.conftest import Caller, signed_in


@pytest.fixture
def job_id(house: House, seeded: Seeded) -> UUID:
    return served_job(house, seeded, 2)


def test_an_undo_is_previewed_accepted_and_told(
    house: House, client_admin: Caller, job_id: UUID
) -> None:
    shown = client_admin.post(f"/jobs/{job_id}/undo?preview=true")
    asked = client_admin.post(f"/jobs/{job_id}/undo", Idempotency_Key="u1")
    again = client_admin.post(f"/jobs/{job_id}/undo", Idempotency_Key="u1")
    drain(house)
    original = client_admin.get(f"/jobs/{job_id}").json

    assert (shown.status_code, shown.json) == (
        200,
        {"undoable": 2, "refund_minor": 5000, "currency": "USD", "not_undoable": []},
    )
    assert (asked.status_code, asked.json["kind"]) == (202, "provisioning_undo")
    assert asked.json["undoes_id"] == str(job_id)
    assert (asked.json["counts"]["total"], asked.json["progress"]["percent"]) == (0, 0.0)
    assert asked.headers["Location"] == f"/api/v1/jobs/{asked.json['id']}"
    assert (again.json["id"], again.headers["Idempotent-Replayed"]) == (asked.json["id"], "true")
    assert original["undone"] == {
        "count": 2,
        "refunded_minor": 5000,
        "job_ids": [asked.json["id"]],
    }
    listed = client_admin.get("/jobs?kind=provisioning_undo").json["data"]
    assert [(job["id"], job["state"]) for job in listed] == [(asked.json["id"], "succeeded")]


def test_an_undo_needs_a_key_and_a_preview_does_not(client_admin: Caller, job_id: UUID) -> None:
    refused = client_admin.post(f"/jobs/{job_id}/undo")

    assert (refused.status_code, refused.json["code"]) == (400, "idempotency_key_required")


def test_undos_that_cannot_be_are_refused_with_the_reason(
    house: House, app: Flask, admin: Caller, client_admin: Caller, seeded: Seeded, job_id: UUID
) -> None:
    open_id = submit(house, seeded, recipients_csv(1, start=9))
    import_id = accept_cards(house, seeded.buffer_pool, cards_csv(1, "LATER"))
    first = client_admin.post(f"/jobs/{job_id}/undo", Idempotency_Key="a").json["id"]
    beside = client_admin.post(f"/jobs/{job_id}/undo", Idempotency_Key="b")
    while_open = client_admin.post(f"/jobs/{open_id}/undo", Idempotency_Key="c")
    drain(house)
    of_undo = client_admin.post(f"/jobs/{first}/undo", Idempotency_Key="d")
    of_import = admin.post(f"/jobs/{import_id}/undo", Idempotency_Key="e")
    nothing = client_admin.post(f"/jobs/{job_id}/undo", Idempotency_Key="f")
    unknown = client_admin.post(f"/jobs/{new_id()}/undo", Idempotency_Key="g")

    assert (beside.status_code, beside.json["code"], beside.json["job_id"]) == (
        409,
        "undo_in_progress",
        first,
    )
    assert (while_open.json["code"], while_open.json["state"]) == ("invalid_job_state", "queued")
    assert (of_undo.status_code, of_undo.json["code"]) == (409, "not_undoable")
    assert (of_import.status_code, of_import.json["code"]) == (409, "not_undoable")
    assert (nothing.status_code, nothing.json["code"]) == (409, "nothing_to_undo")
    assert unknown.status_code == 404


def test_an_agency_undoes_a_job_of_its_client_and_of_no_other(
    house: House, app: Flask, seeded: Seeded, job_id: UUID
) -> None:
    other = seed_other(house)
    theirs = signed_in(app, house, Role.AGENCY_ADMIN, other)
    ours = signed_in(app, house, Role.AGENCY_ADMIN, seeded)

    refused = theirs.post(f"/jobs/{job_id}/undo", Idempotency_Key="x")
    asked = ours.post(f"/jobs/{job_id}/undo", Idempotency_Key="x")
    drain(house)

    assert refused.status_code == 404
    assert asked.status_code == 202
    assert ours.get(f"/jobs/{asked.json['id']}").json["counts"]["succeeded"] == 2


def seed_other(house: House) -> Seeded:
    return seed(house, vendor=False)


def test_a_single_request_whose_card_was_taken_back_says_so(
    house: House, client_admin: Caller, seeded: Seeded
) -> None:
    import_cards_now(house, seeded.csv_pool, cards_csv(1))
    body = {
        "campaign_id": str(seeded.campaign_id),
        "brand_id": str(seeded.brand_id),
        "denomination_minor": 2500,
        "delivery_method": "none",
    }
    single = client_admin.post("/gift-cards/provision", body, Idempotency_Key="s").json["id"]
    drain_single(house)
    undo(house, seeded, UUID(single))

    job = client_admin.get(f"/jobs/{single}").json

    assert (job["state"], job["result"]) == ("succeeded", None)
    assert (job["error"]["status"], job["error"]["code"]) == (410, "provision_undone")


def drain_single(house: House) -> None:
    """The accepter rang by itself; here nobody heard it."""
    hasten(house)
    drain(house)


def test_the_page_and_the_api_say_that_a_card_was_taken_back(
    house: House, browser: FlaskClient, client_admin: Caller, seeded: Seeded, job_id: UUID
) -> None:
    provision = provision_of(house, job_id, 1)
    token = reveal_token(provision.id, 1, house.settings.keyring)
    undo(house, seeded, job_id)

    looked = browser.get(f"/r/{token}")
    opened = browser.post(f"/r/{token}", data={"open": "1", "email": "person0@example.com"})
    by_link = browser.post(f"/api/v1/gift-cards/{provision.id}/reveal", json={"token": token})
    by_staff = client_admin.post(f"/gift-cards/{provision.id}/reveal")

    assert (looked.status_code, opened.status_code) == (410, 410)
    assert "was taken back" in looked.text
    assert (by_link.status_code, by_link.json["code"]) == (410, "provision_undone")
    assert (by_staff.status_code, by_staff.json["code"]) == (410, "provision_undone")
    assert rows(house, "SELECT 1 FROM audit_entries WHERE action = 'card.revealed'") == []


def test_a_clone_is_previewed_and_accepted(
    house: House, client_admin: Caller, seeded: Seeded, job_id: UUID
) -> None:
    body = {"allow_repeat": True, "denomination_minor": 2500}
    import_cards_now(house, seeded.csv_pool, cards_csv(2, "MORE"))

    plan = client_admin.post(f"/jobs/{job_id}/clone?preview=true", body)
    agreed = body | {"plan_hash": plan.json["plan_hash"]}
    asked = client_admin.post(f"/jobs/{job_id}/clone", agreed, Idempotency_Key="c1")
    again = client_admin.post(f"/jobs/{job_id}/clone", agreed, Idempotency_Key="c1")
    drain(house)

    assert (plan.status_code, plan.json["rows"], plan.json["valid"]) == (200, 2, 2)
    assert (asked.status_code, asked.json["cloned_from_id"]) == (202, str(job_id))
    assert (again.json["id"], again.headers["Idempotent-Replayed"]) == (asked.json["id"], "true")
    assert client_admin.get(f"/jobs/{asked.json['id']}").json["state"] == "succeeded"


def test_a_clone_without_a_body_is_the_same_job_again(
    client_admin: Caller, house: House, job_id: UUID
) -> None:
    before = table_sizes(house)

    refused = client_admin.post(f"/jobs/{job_id}/clone", Idempotency_Key="c1")

    assert (refused.status_code, refused.json["code"]) == (422, "rows_refused")
    assert [error["code"] for error in refused.json["errors"]] == ["already_served"] * 2
    assert table_sizes(house) == before


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"only": "some"}, "/only"),
        ({"priority": 50}, "/priority"),
        ({"denomination_minor": 0}, "/denomination_minor"),
        ({"allow_repeat": "yes"}, "/allow_repeat"),
        ({"recipients": []}, "/recipients"),
    ],
)
def test_a_clone_with_bad_choices_is_refused_field_by_field(
    client_admin: Caller, job_id: UUID, body: dict[str, object], pointer: str
) -> None:
    refused = client_admin.post(f"/jobs/{job_id}/clone", body, Idempotency_Key="c1")

    assert refused.status_code == 422
    assert [error["pointer"] for error in refused.json["errors"]] == [pointer]


def test_an_import_is_not_cloned(house: House, admin: Caller, seeded: Seeded, job_id: UUID) -> None:
    import_id = accept_cards(house, seeded.buffer_pool, cards_csv(1, "LATER"))
    drain(house)

    refused = admin.post(f"/jobs/{import_id}/clone", Idempotency_Key="c1")

    assert (refused.status_code, refused.json["code"]) == (409, "not_clonable")


def test_a_clone_that_would_give_nobody_a_card_is_refused(
    house: House, client_admin: Caller, job_id: UUID
) -> None:
    """As its preview says: all its people have their cards already."""
    before = table_sizes(house)
    body = {"on_error": "skip"}

    shown = client_admin.post(f"/jobs/{job_id}/clone?preview=true", body)
    asked = client_admin.post(f"/jobs/{job_id}/clone", body, Idempotency_Key="c")

    assert [blocker["code"] for blocker in shown.json["blockers"]] == ["no_valid_rows"]
    assert (asked.status_code, asked.json["code"]) == (422, "no_valid_rows")
    assert [error["code"] for error in asked.json["errors"]] == ["already_served"] * 2
    assert table_sizes(house) == before
