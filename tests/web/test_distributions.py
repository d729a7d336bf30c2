"""Distributions over HTTP: previewed, accepted, waited for, drawn again (S3-048..055, S3-127)."""

import csv
import io
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from models.people import Role
from pipelines.distribution.draw import commitment_of, draw_members
from pipelines.wiring import House
from tests.couponing import act, finish
from tests.distributing import make_pool, stocked_book
from tests.driving import rows
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, signed_in


@pytest.fixture
def place(house: House, seeded: Seeded) -> tuple[UUID, UUID, list[UUID]]:
    """A pool of five people and a book of thirty coupons."""
    pool, people = make_pool(house, seeded, 5)
    return pool, stocked_book(house, seeded, 30, max_assignments_per_user=8), people


def ask(book: UUID, **more: Any) -> dict[str, Any]:
    return {"book_id": str(book), "mode": "random", "count": 10} | more


def test_s3_127_a_distribution_is_accepted_and_ends_with_its_statistics(
    house: House, manager: Caller, place: tuple[UUID, UUID, list[UUID]]
) -> None:
    """S3-051, S3-054, S3-082, S3-127: 202, the counts at once, and counts per person at the end."""
    pool, book, people = place

    accepted = act(manager, f"/pools/{pool}/distribute", ask(book))

    assert accepted.status_code == 202
    body = accepted.get_json()
    assert (body["kind"], body["counts"]["total"], body["counts"]["pending"]) == (
        "distribution",
        10,
        10,
    )
    finish(house)
    job = manager.get(f"/jobs/{body['id']}").get_json()
    told = job["result"]["distribution"]
    assert (job["state"], told["assigned"], told["members"]) == ("succeeded", 10, 5)
    assert sum(person["assigned"] for person in told["per_user"]) == 10
    assert {person["user_id"] for person in told["per_user"]} <= {str(one) for one in people}
    assert commitment_of(told["seed"]) == told["seed_sha256"]


def test_s3_050_the_preview_writes_nothing_and_its_plan_can_be_insisted_on(
    house: House, manager: Caller, place: tuple[UUID, UUID, list[UUID]]
) -> None:
    """S3-050, EC-092"""
    pool, book, people = place

    shown = manager.post(f"/pools/{pool}/distribute?preview=true", ask(book, mode="equal"))

    assert shown.status_code == 200
    plan = shown.get_json()
    assert (plan["per_user"], plan["affected_count"], plan["refused_count"]) == (2, 5, 0)
    assert [person["user_id"] for person in plan["affected"]] == [str(one) for one in people]
    assert rows(house, "SELECT FROM jobs WHERE kind = 'distribution'") == []
    stale = act(manager, f"/pools/{pool}/distribute", ask(book, plan_hash=plan["plan_hash"]))
    assert (stale.status_code, stale.get_json()["code"]) == (409, "preview_stale")
    good = ask(book, mode="equal", plan_hash=plan["plan_hash"])
    assert act(manager, f"/pools/{pool}/distribute", good).status_code == 202


def test_the_seed_is_told_when_the_job_has_ended_and_draws_the_same(
    house: House, manager: Caller, place: tuple[UUID, UUID, list[UUID]]
) -> None:
    """Idea 13: the digest before, the seed after; with both files anybody draws it again."""
    pool, book, _people = place
    job_id = act(manager, f"/pools/{pool}/distribute", ask(book)).get_json()["id"]
    before = manager.get(f"/jobs/{job_id}/draw").get_json()
    finish(house)

    draw = manager.get(f"/jobs/{job_id}/draw").get_json()

    assert (before["seed"], before["seed_sha256"]) == (None, draw["seed_sha256"])
    assert commitment_of(draw["seed"]) == draw["seed_sha256"]
    members = _csv(manager, draw["members_csv"])
    results = _csv(manager, draw["results_csv"])
    capacities = [int(member["capacity"]) for member in members]
    again = [members[place]["user_id"] for place in draw_members(draw["seed"], capacities, 10)]
    assert [row["user_id"] for row in results] == again
    assert all(row["coupon_id"] and row["code"] for row in results)


def _csv(caller: Caller, path: str) -> list[dict[str, str]]:
    text = caller.get(path.removeprefix("/api/v1")).get_data(as_text=True)
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"mode": "lottery"}, 422, "choice"),
        ({"count": 0}, 422, "out_of_range"),
        ({"count": "10"}, 422, "type"),
        ({"count": 3, "mode": "equal"}, 422, "too_few_for_equal"),
        ({"count": 31}, 409, "book_exhausted"),
        ({"seed": ""}, 422, "required"),
        ({"surprise": 1}, 422, "unknown_field"),
        ({"book_id": "00000000-0000-7000-8000-000000000000"}, 404, "not_found"),
        ({"count": 45, "mode": "equal", "mode_on_failure": "atomic"}, 409, "atomic_impossible"),
    ],
)
def test_what_cannot_be_done_is_refused_and_nothing_is_written(
    house: House,
    manager: Caller,
    place: tuple[UUID, UUID, list[UUID]],
    change: dict[str, Any],
    status: int,
    code: str,
) -> None:
    pool, book, _people = place

    refused = act(manager, f"/pools/{pool}/distribute", ask(book) | change)

    body = refused.get_json()
    codes = {body["code"], *(error["code"] for error in body.get("errors", []))}
    assert refused.status_code == status
    assert code in codes, codes
    assert rows(house, "SELECT FROM jobs WHERE kind = 'distribution'") == []


@pytest.mark.parametrize("how", ["", "?preview=true"])
def test_ec099_a_pool_that_is_put_away_is_there_and_gets_nothing_until_it_is_taken_back(
    house: House, manager: Caller, place: tuple[UUID, UUID, list[UUID]], how: str
) -> None:
    """EC-099: 409 `pool_archived`, in the preview too."""
    pool, book, _people = place
    version = manager.get(f"/pools/{pool}").headers["ETag"]
    manager.call("PATCH", f"/pools/{pool}", {"archived": True}, If_Match=version)

    refused = act(manager, f"/pools/{pool}/distribute{how}", ask(book))
    made = rows(house, "SELECT FROM jobs")
    version = manager.get(f"/pools/{pool}").headers["ETag"]
    manager.call("PATCH", f"/pools/{pool}", {"archived": False}, If_Match=version)
    again = act(manager, f"/pools/{pool}/distribute{how}", ask(book))

    assert (refused.status_code, refused.json["code"], made) == (409, "pool_archived", [])
    assert refused.json["detail"].endswith("before you distribute to it.")
    assert again.status_code == (200 if how else 202)


def test_what_was_accepted_before_a_pool_was_put_away_is_done(
    house: House, manager: Caller, place: tuple[UUID, UUID, list[UUID]]
) -> None:
    pool, book, _people = place
    job_id = act(manager, f"/pools/{pool}/distribute", ask(book)).json["id"]
    version = manager.get(f"/pools/{pool}").headers["ETag"]
    manager.call("PATCH", f"/pools/{pool}", {"archived": True}, If_Match=version)
    finish(house)

    assert manager.get(f"/jobs/{job_id}").json["counts"]["succeeded"] == 10


def test_ec098_the_same_once_more_is_refused_with_the_job_that_was_made(
    house: House, manager: Caller, place: tuple[UUID, UUID, list[UUID]]
) -> None:
    """EC-098: another key within ten minutes."""
    pool, book, _people = place
    first = act(manager, f"/pools/{pool}/distribute", ask(book)).get_json()

    again = act(manager, f"/pools/{pool}/distribute", ask(book))

    assert (again.status_code, again.get_json()["code"]) == (409, "duplicate_job_suspected")
    assert again.get_json()["job_id"] == first["id"]
    assert act(manager, f"/pools/{pool}/distribute", ask(book, force=True)).status_code == 202


def test_the_same_key_gives_the_same_job(
    house: House, manager: Caller, place: tuple[UUID, UUID, list[UUID]]
) -> None:
    pool, book, _people = place
    path, name = f"/pools/{pool}/distribute", {"Idempotency_Key": "once"}

    first, again = manager.post(path, ask(book), **name), manager.post(path, ask(book), **name)

    assert first.get_json()["id"] == again.get_json()["id"]
    assert again.headers["Idempotent-Replayed"] == "true"


def test_a_distribution_is_undone_over_http(
    house: House, manager: Caller, place: tuple[UUID, UUID, list[UUID]]
) -> None:
    pool, book, _people = place
    job_id = act(manager, f"/pools/{pool}/distribute", ask(book)).get_json()["id"]
    finish(house)

    foreseen = manager.post(f"/jobs/{job_id}/undo?preview=true").get_json()
    undone = act(manager, f"/jobs/{job_id}/undo")
    finish(house)

    assert (foreseen["undoable"], undone.status_code) == (10, 202)
    assert manager.get(f"/jobs/{undone.get_json()['id']}").get_json()["counts"]["succeeded"] == 10
    assert rows(house, "SELECT FROM coupons WHERE state = 'assigned'") == []


def test_strangers_pools_are_unknown_and_viewers_may_not(
    app: Flask, house: House, seeded: Seeded, place: tuple[UUID, UUID, list[UUID]]
) -> None:
    pool, book, _people = place
    stranger = signed_in(
        app, house, Role.CAMPAIGN_MANAGER, seed(house, vendor=False), name="stranger."
    )
    viewer = signed_in(app, house, Role.CLIENT_VIEWER, seeded)

    assert act(stranger, f"/pools/{pool}/distribute", ask(book)).status_code == 404
    assert act(viewer, f"/pools/{pool}/distribute", ask(book)).status_code == 403
