"""Files of people over HTTP, and what clients learn of people whom others know (S3-060, SEC-10)."""

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.driving import drain
from tests.intake import table_sizes
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, signed_in
from tests.web.console.conftest import visitor_of
from tests.web.test_user_pools import add, members


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


@pytest.fixture
def pool(manager: Caller) -> str:
    return manager.post("/pools", {"name": "Beta Testers"}).json["id"]


def test_whom_another_client_knows_is_as_new_as_whom_nobody_knows(
    app: Flask, house: House, manager: Caller, pool: str
) -> None:
    """SEC-10: one person in `users`, and neither client learns what the other has said of them."""
    other = seed(house, vendor=False)
    stranger = signed_in(app, house, Role.CAMPAIGN_MANAGER, other)
    theirs = stranger.post("/pools", {"name": "Theirs"}).json["id"]
    content = b"email,name,external_id\nann@example.com,Ann the debtor,t1\n"
    sent = stranger.headers | {"Content-Type": "text/csv", "Idempotency-Key": "k"}
    path = f"/api/v1/pools/{theirs}/users?create_missing=true"
    stranger.client.post(path, data=content, headers=sent)
    drain(house)

    unseen = add(manager, pool, emails=["ann@example.com"], on_error="skip")
    known = add(manager, pool, emails=["ann@example.com"], create_missing=True)
    new = add(manager, pool, emails=["nobody@example.com"], create_missing=True)

    assert [entry["code"] for entry in unseen["unknown"]] == ["user_not_found"]
    assert known == new
    mine = {person["email"]: person for person in members(manager, pool)}
    assert (mine["ann@example.com"]["name"], mine["ann@example.com"]["external_id"]) == ("", None)
    (person,) = members(stranger, theirs)
    assert person["user_id"] == mine["ann@example.com"]["user_id"]
    assert person["name"] == "Ann the debtor"


def test_s3_060_a_file_is_accepted_with_its_key_and_followed_as_a_job(
    app: Flask, house: House, manager: Caller, seeded: Seeded, pool: str
) -> None:
    """The console shows the job, and its results are the rows that were left out."""
    path = f"/api/v1/pools/{pool}/users?on_error=skip&create_missing=true"
    body = b"email\na@x.de\nno address\n"
    sent = manager.headers | {"Content-Type": "text/csv"}
    before = table_sizes(house)

    nameless = manager.client.post(path, data=body, headers=sent)
    unchanged = table_sizes(house)
    named = sent | {"Idempotency-Key": "k"}
    first, again = (manager.client.post(path, data=body, headers=named) for _ in range(2))
    drain(house)

    assert (nameless.status_code, nameless.json["code"]) == (400, "idempotency_key_required")
    assert unchanged == before
    assert (first.status_code, first.json["kind"], first.json["state"]) == (
        *(202, "pool_import", "queued"),
    )
    assert first.headers["Location"] == f"/api/v1/jobs/{first.json['id']}"
    assert (again.json["id"], again.headers["Idempotent-Replayed"]) == (first.json["id"], "true")
    job = manager.get(f"/jobs/{first.json['id']}").json
    assert (job["counts"]["succeeded"], job["counts"]["failed"]) == (1, 1)
    results = manager.get(f"/jobs/{job['id']}/results.csv").text
    assert '"no address"' in results and "invalid_email" in results
    assert manager.post(f"/jobs/{job['id']}/undo", {}, Idempotency_Key="u").status_code == 409
    visitor = visitor_of(app, house, Role.CLIENT_ADMIN, seeded)
    page = visitor.get(f"/console/jobs/{job['id']}")
    assert (page.status_code, "1 of 2 added" in page.text) == (200, True)
    assert "People for a pool" in visitor.get("/console/jobs").text
