"""How requests about coupons end beside people and dead workers: the coupon is free again (EC-085)."""

from typing import Any
from uuid import UUID

import psycopg
import pytest
from flask import Flask

from models import clock
from models.books import CouponState
from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from ops.bootstrap import database_url
from pipelines.jobs.retention import forget_people
from pipelines.wiring import House
from tests.booking import make_book
from tests.conftest import Database
from tests.couponing import act, coupon_in, end_of, events, finish, id_of, put_codes, state_of
from tests.driving import drain, rows
from tests.later import later
from tests.proof import assert_proven
from tests.seeding import Seeded
from tests.web.conftest import Caller, signed_in
from tests.workers.tasks import change_task

S = CouponState


@pytest.fixture
def ann(app: Flask, house: House, seeded: Seeded) -> Caller:
    return signed_in(app, house, Role.CLIENT_VIEWER, seeded, name="ann.")


@pytest.fixture
def code(house: House, seeded: Seeded, ann: Caller) -> str:
    return coupon_in(house, seeded, S.ASSIGNED, id_of(ann))


def opened(house: House) -> list[Any]:
    return rows(house, "SELECT job_id FROM open_redemptions")


def killed_three_times(house: House) -> None:
    """What is left when the task's workers died three times in the middle of it."""
    (task,) = rows(house, "SELECT id FROM tasks")
    change_task(house, task.id, f"starts = {house.limits.kills_max}")


def test_ec085_a_cancelled_redemption_leaves_the_coupon_to_the_next(
    house: House, ann: Caller, manager: Caller, code: str
) -> None:
    asked = act(ann, f"/coupons/redeem/{code}")
    before = opened(house)
    manager.post(f"/jobs/{asked.json['id']}/cancel")

    status, body = end_of(house, ann, asked)
    between = (opened(house), state_of(house, code))
    again = end_of(house, ann, act(ann, f"/coupons/redeem/{code}"))[0]

    assert [str(row.job_id) for row in before] == [asked.json["id"]]
    assert (status, body["code"]) == (409, "job_cancelled")
    assert ann.get(f"/jobs/{asked.json['id']}").json["state"] == "cancelled"
    assert between == ([], "assigned")
    assert (again, state_of(house, code)) == (200, "redeemed")
    assert_proven(house)


def test_a_paused_redemption_keeps_the_coupon_until_it_goes_on(
    house: House, ann: Caller, manager: Caller, code: str
) -> None:
    asked = act(ann, f"/coupons/redeem/{code}")
    manager.post(f"/jobs/{asked.json['id']}/pause")
    finish(house)

    beside = act(ann, f"/coupons/redeem/{code}")
    manager.post(f"/jobs/{asked.json['id']}/resume")
    status, _body = end_of(house, ann, asked)

    assert (beside.status_code, beside.json["code"]) == (409, "concurrent_redemption")
    assert (status, opened(house)) == (200, [])


def test_ec121_a_redemption_that_kills_its_workers_fails_and_frees_the_coupon(
    house: House, ann: Caller, code: str
) -> None:
    """EC-121: three dead workers; nothing was redeemed, and the next request is."""
    asked = act(ann, f"/coupons/redeem/{code}")
    killed_three_times(house)

    status, body = end_of(house, ann, asked)
    between = (opened(house), events(house, code))
    again = end_of(house, ann, act(ann, f"/coupons/redeem/{code}"))[0]

    assert (status, body["code"]) == (500, "internal_error")
    assert ann.get(f"/jobs/{asked.json['id']}").json["state"] == "failed"
    assert between == ([], ["assigned"])
    assert (again, state_of(house, code)) == (200, "redeemed")
    assert_proven(house)


def test_ec121_an_assignment_that_kills_its_workers_fails_and_is_tried_again_on_request(
    house: House, seeded: Seeded, ann: Caller, manager: Caller
) -> None:
    book_id = make_book(house, seeded, max_assignments_per_user=1)
    put_codes(house, seeded, book_id, 1)
    asked = act(manager, "/coupons/assign", assignment(book_id, ann))
    killed_three_times(house)
    status, body = end_of(house, manager, asked)
    between = rows(house, "SELECT FROM coupons WHERE user_id IS NOT NULL")

    manager.post(f"/jobs/{asked.json['id']}/retry")
    again = end_of(house, manager, asked)

    assert (status, body["code"], between) == (500, "internal_error", [])
    assert (again[0], again[1]["result"]["coupon"]["user_id"]) == (200, str(id_of(ann)))
    assert_proven(house)


def assignment(book_id: UUID, whom: Caller) -> dict[str, str]:
    return {"book_id": str(book_id), "user_id": str(id_of(whom))}


def test_an_assignment_refused_for_an_empty_book_succeeds_when_it_is_tried_after_a_refill(
    house: House, seeded: Seeded, ann: Caller, manager: Caller
) -> None:
    book_id = make_book(house, seeded)
    asked = act(manager, "/coupons/assign", assignment(book_id, ann))
    status, body = end_of(house, manager, asked)
    put_codes(house, seeded, book_id, 1)

    manager.post(f"/jobs/{asked.json['id']}/retry")

    assert (status, body["code"]) == (409, "book_exhausted")
    assert end_of(house, manager, asked)[0] == 200


def test_a_refused_redemption_is_asked_for_anew_and_not_retried(
    house: House, ann: Caller, manager: Caller, code: str
) -> None:
    """Whether it may be redeemed is for its holder to ask again."""
    asked = act(ann, f"/coupons/redeem/{code}")
    act(ann, f"/coupons/lock/{code}")
    end_of(house, ann, asked)

    refused = manager.post(f"/jobs/{asked.json['id']}/retry")

    assert (refused.status_code, refused.json["code"]) == (409, "invalid_job_state")
    assert (state_of(house, code), opened(house)) == ("locked", [])


def test_a_cancelled_assignment_gives_nothing(
    house: House, seeded: Seeded, ann: Caller, manager: Caller
) -> None:
    book_id = make_book(house, seeded, max_assignments=1)
    put_codes(house, seeded, book_id, 1)
    asked = act(manager, "/coupons/assign", assignment(book_id, ann))
    manager.post(f"/jobs/{asked.json['id']}/cancel")

    status, body = end_of(house, manager, asked)

    assert (status, body["code"]) == (409, "job_cancelled")
    assert rows(house, "SELECT FROM coupon_counts") == []
    assert {row.state for row in rows(house, "SELECT state FROM coupons")} == {"unassigned"}


def test_a_coupon_taken_back_while_its_redemption_waits_is_not_redeemed(
    house: House, ann: Caller, manager: Caller, code: str
) -> None:
    """Released, or given to somebody else meanwhile."""
    asked = act(ann, f"/coupons/redeem/{code}")
    act(manager, f"/coupons/{code}/release")
    given = {"user_id": str(id_of(manager))}
    for_other = act(manager, f"/coupons/assign/{code}", given)

    first, second = end_of(house, ann, asked), end_of(house, manager, for_other)

    told = sorted([(first[0], first[1].get("code")), (second[0], second[1].get("code"))])
    assert told[0] == (200, None)
    assert told[1][0] == 409
    assert "redeemed" not in events(house, code)
    assert opened(house) == []


def test_what_is_forgotten_of_jobs_leaves_coupons_as_they_are(
    house: House, ann: Caller, manager: Caller, code: str
) -> None:
    """Jobs past their time, and keys past theirs: the coupon and its history stay."""
    end_of(house, ann, act(ann, f"/coupons/redeem/{code}"))
    rows(house, "UPDATE jobs SET retain_until = '2001-01-01' RETURNING 1")
    shown = [manager.get(f"/coupons/{code}{what}").json for what in ("", "/history")]

    with scoped_transaction(house.sessions, SYSTEM) as session:
        forget_people(session, clock.now(session))
    with later(house, hours=24 * 40) as then:
        drain(then)

    assert [manager.get(f"/coupons/{code}{what}").json for what in ("", "/history")] == shown


def test_a_job_that_is_removed_takes_its_claim_on_the_coupon_with_it(
    house: House, ann: Caller, code: str, database: Database
) -> None:
    """By whoever owns the database: nothing of the product removes jobs."""

    job_id = act(ann, f"/coupons/redeem/{code}").json["id"]
    with psycopg.connect(database_url(database.admin_url, database.name)) as connection:
        for table in ("tasks", "idempotency_keys", "items", "chunks"):
            column = "resource_id" if table == "idempotency_keys" else "job_id"
            connection.execute(f"DELETE FROM {table} WHERE {column} = %s".encode(), (job_id,))
        connection.execute("DELETE FROM jobs WHERE id = %s", (job_id,))

    assert opened(house) == []
    assert end_of(house, ann, act(ann, f"/coupons/redeem/{code}"))[0] == 200


@pytest.mark.parametrize("path", ["/coupons/assign", "/coupons/assign/{code}"])
def test_ec035_an_assignment_again_with_its_key_is_the_same_job(
    house: House, seeded: Seeded, ann: Caller, manager: Caller, path: str
) -> None:
    """Also when the coupon is taken by then, by this very request."""
    book_id = make_book(house, seeded)
    (code,) = put_codes(house, seeded, book_id, 1)
    body = assignment(book_id, ann) if path.endswith("assign") else {"user_id": str(id_of(ann))}
    path, key = path.format(code=code), {"Idempotency_Key": "once"}
    first = manager.post(path, body, **key)
    finish(house)

    again = manager.post(path, body, **key)
    other = manager.post(path, body | {"user_id": str(id_of(manager))}, **key)

    assert (first.status_code, again.status_code) == (202, 202)
    assert (first.json["id"], again.headers["Idempotent-Replayed"]) == (again.json["id"], "true")
    assert again.json["result"]["coupon"]["code"] == code
    assert (other.status_code, other.json["code"]) == (422, "idempotency_key_reuse")
    assert events(house, code) == ["assigned"]
