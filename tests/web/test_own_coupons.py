"""People and their coupons, whoever they are: strangers' are as unknown as none (EC-087)."""

from uuid import UUID

import pytest
from flask import Flask

from models.base import new_id
from models.books import CouponState
from models.people import Role
from pipelines.wiring import House
from tests.booking import make_book
from tests.couponing import (
    act,
    bring,
    coupon_in,
    end_of,
    events,
    finish,
    id_of,
    known_to,
    put_codes,
    state_of,
)
from tests.driving import rows
from tests.security.tenants import key_caller
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, signed_in
from web.misses import EXTENSION

S = CouponState
#: What a person can do to a coupon by its code.
VERBS = ("redeem", "lock", "unlock")


@pytest.fixture
def other(house: House) -> Seeded:
    """Another client that gives coupons."""
    return seed(house, vendor=False)


@pytest.fixture
def ann(app: Flask, house: House, seeded: Seeded, other: Seeded) -> tuple[Caller, UUID]:
    """Somebody who registered, and whom two clients know."""
    caller = signed_in(app, house, Role.END_USER, name="ann.")
    person = id_of(caller)
    known_to(house, seeded, person)
    known_to(house, other, person)
    return caller, person


def test_s3_120_an_end_user_redeems_and_sees_what_became_of_it(
    house: House, seeded: Seeded, ann: tuple[Caller, UUID]
) -> None:
    """S3-078: without a tenant and without the right to look at jobs."""
    caller, person = ann
    code = coupon_in(house, seeded, S.ASSIGNED, person)

    asked = act(caller, f"/coupons/redeem/{code}")
    finish(house)
    job = caller.get(asked.headers["Location"].removeprefix("/api/v1"))

    assert (asked.status_code, asked.json["state"]) == (202, "queued")
    assert (job.status_code, job.json["state"]) == (200, "succeeded")
    assert job.json["result"]["coupon"]["state"] == "redeemed"
    assert job.json["submitted_by"] == str(person)
    again = caller.get(f"/jobs/{asked.json['id']}", If_None_Match=job.headers["ETag"])
    assert (again.status_code, again.data) == (304, b"")


def test_ec087_a_redemption_is_shown_to_who_asked_for_it_and_who_runs_the_book(
    app: Flask, house: House, seeded: Seeded, other: Seeded, ann: tuple[Caller, UUID]
) -> None:
    caller, person = ann
    code = coupon_in(house, seeded, S.ASSIGNED, person)
    job = f"/jobs/{act(caller, f'/coupons/redeem/{code}').json['id']}"
    bob = signed_in(app, house, Role.END_USER, name="bob.")
    neighbour = signed_in(app, house, Role.CLIENT_ADMIN, other)
    manager = signed_in(app, house, Role.CLIENT_ADMIN, seeded)

    found = [who.get(job).status_code for who in (bob, neighbour, manager)]

    assert found == [404, 404, 200]
    assert [caller.get(f"{job}/items").status_code, caller.get("/jobs").status_code] == [403, 403]


def test_ec087_another_kind_of_job_is_not_shown_to_an_end_user_who_asked_for_it(
    house: House, seeded: Seeded, ann: tuple[Caller, UUID]
) -> None:
    caller, person = ann
    code = coupon_in(house, seeded, S.ASSIGNED, person)
    job_id = act(caller, f"/coupons/redeem/{code}").json["id"]
    rows(house, "UPDATE jobs SET kind = 'coupon_assignment' RETURNING 1")

    assert caller.get(f"/jobs/{job_id}").status_code == 404


def test_ec024_the_same_code_of_two_clients_needs_the_clients_name(
    house: House, seeded: Seeded, other: Seeded, ann: tuple[Caller, UUID]
) -> None:
    """EC-024: one text, two coupons; nothing is done until the request says which."""
    caller, person = ann
    for tenant in (seeded, other):
        book_id = make_book(house, tenant)
        put_codes(house, tenant, book_id, 0, "TWICE-2026")
        bring(house, tenant, "TWICE-2026", S.ASSIGNED, person)

    unclear = [act(caller, f"/coupons/{verb}/TWICE-2026") for verb in VERBS]
    before = states(house)
    named = act(caller, "/coupons/redeem/twice-2026", {"client_id": str(other.client_id)})
    finish(house)

    assert [(a.status_code, a.json["code"]) for a in unclear] == [(422, "client_required")] * 3
    assert before == {seeded.client_id: "assigned", other.client_id: "assigned"}
    assert named.status_code == 202
    assert states(house) == {seeded.client_id: "assigned", other.client_id: "redeemed"}


def states(house: House) -> dict[UUID, str]:
    return {row.client_id: row.state for row in rows(house, "SELECT client_id, state FROM coupons")}


@pytest.mark.parametrize("state", [S.UNASSIGNED, S.ASSIGNED, S.LOCKED, S.REDEEMED, S.VOID])
@pytest.mark.parametrize("verb", VERBS)
def test_ec087_a_strangers_coupon_is_as_unknown_as_none(
    app: Flask, house: House, seeded: Seeded, ann: tuple[Caller, UUID], state: S, verb: str
) -> None:
    """EC-087: 404 whatever its state; the try is counted as a miss and nothing changes."""
    bob = signed_in(app, house, Role.CLIENT_VIEWER, seeded, name="bob.")
    code = coupon_in(house, seeded, state, ann[1])
    before = (state_of(house, code), events(house, code))
    counted = app.extensions[EXTENSION].total

    answer, nothing = act(bob, f"/coupons/{verb}/{code}"), act(bob, f"/coupons/{verb}/NO-SUCH-1")

    assert (answer.status_code, answer.json["code"]) == (404, "not_found")
    assert without_place(answer.json) == without_place(nothing.json)
    assert app.extensions[EXTENSION].total == counted + 2
    assert (state_of(house, code), events(house, code)) == before
    assert rows(house, "SELECT FROM jobs") == []


def test_ec087_who_runs_the_book_is_told_of_a_strangers_try(
    app: Flask, house: House, seeded: Seeded, ann: tuple[Caller, UUID]
) -> None:
    """EC-087: the audit says who tried which coupon, once for each; the answer says nothing of it."""
    bob = signed_in(app, house, Role.CLIENT_VIEWER, seeded, name="bob.")
    code = coupon_in(house, seeded, S.ASSIGNED, ann[1])
    free = coupon_in(house, seeded, S.UNASSIGNED, ann[1])

    for tried in (code, code.lower(), free, "NO-SUCH-1"):
        for verb in VERBS:
            act(bob, f"/coupons/{verb}/{tried}").close()

    told = rows(
        house,
        "SELECT actor_id, client_id, object_id, address FROM audit_entries "
        "WHERE action = 'coupon.tried_by_stranger'",
    )
    (coupon,) = rows(house, "SELECT id FROM coupons WHERE state = 'assigned'")
    assert {tuple(entry) for entry in told} == {
        (id_of(bob), seeded.client_id, coupon.id, "127.0.0.0/24")
    }
    assert len(told) == 1


def test_ec087_a_stranger_who_looks_before_they_try_is_told_of_all_the_same(
    app: Flask, house: House, seeded: Seeded, ann: tuple[Caller, UUID]
) -> None:
    """EC-087: the first miss with a code counts, whatever it was asked for."""
    bob = signed_in(app, house, Role.END_USER, name="bob.")
    known_to(house, seeded, id_of(bob))
    code = coupon_in(house, seeded, S.ASSIGNED, ann[1])

    looked, tried = bob.get(f"/coupons/{code}"), act(bob, f"/coupons/redeem/{code}")
    looked.close()
    tried.close()

    assert (looked.status_code, tried.status_code) == (404, 404)
    told = "SELECT actor_id FROM audit_entries WHERE action = 'coupon.tried_by_stranger'"
    assert rows(house, told) == [(id_of(bob),)]


def test_ec087_a_holder_is_not_promised_what_only_managers_do(
    app: Flask, house: House, seeded: Seeded, ann: tuple[Caller, UUID]
) -> None:
    code = coupon_in(house, seeded, S.ASSIGNED, ann[1])
    manager = signed_in(app, house, Role.CAMPAIGN_MANAGER, seeded)

    (listed,) = ann[0].get("/users/me/coupons").json["data"]
    seen = ann[0].get(f"/coupons/{code}").json
    managed = manager.get(f"/coupons/{code}").json

    moves = {name: why["code"] for name, why in seen["moves"].items()}
    assert listed["moves"] == seen["moves"]
    assert {moves[name] for name in ("assign", "release", "void")} == {"forbidden"}
    assert moves["redeem"] is None
    assert [managed["moves"][name]["code"] for name in ("release", "void")] == [None, None]


def without_place(problem: dict[str, object]) -> dict[str, object]:
    return {name: problem[name] for name in problem if name not in {"instance", "request_id"}}


@pytest.mark.parametrize("verb", ["release", "void"])
def test_ec087_who_holds_a_coupon_does_not_manage_it(
    house: House, seeded: Seeded, ann: tuple[Caller, UUID], verb: str
) -> None:
    caller, person = ann
    code = coupon_in(house, seeded, S.ASSIGNED, person)

    refused = act(caller, f"/coupons/{code}/{verb}")
    for_bob = act(caller, f"/coupons/redeem/{code}", {"user_id": str(new_id())})

    assert [refused.status_code, for_bob.status_code] == [403, 403]
    assert (state_of(house, code), events(house, code)) == ("assigned", ["assigned"])


@pytest.mark.parametrize("what", ["", "/history"])
def test_ec087_a_coupon_is_seen_by_its_holder_and_by_who_runs_its_book(
    app: Flask, house: House, seeded: Seeded, other: Seeded, ann: tuple[Caller, UUID], what: str
) -> None:
    """A manager of one client holds a coupon of another, and sees that too."""
    neighbour = signed_in(app, house, Role.CAMPAIGN_MANAGER, other)
    code = coupon_in(house, seeded, S.ASSIGNED, ann[1])
    unseen = neighbour.get(f"/coupons/{code}{what}").status_code
    known_to(house, seeded, id_of(neighbour))
    own = coupon_in(house, seeded, S.ASSIGNED, id_of(neighbour))
    manager = signed_in(app, house, Role.CAMPAIGN_MANAGER, seeded)
    program = key_caller(app, house, seeded.client_id)

    seen = [who.get(f"/coupons/{code}{what}").status_code for who in (ann[0], manager, program)]

    assert (unseen, seen) == (404, [200, 200, 200])
    assert neighbour.get(f"/coupons/{own}{what}").status_code == 200
    assert act(neighbour, f"/coupons/lock/{own}").status_code == 200


def test_s3_122_own_coupons_are_listed_whoever_gave_them_newest_first(
    house: House, seeded: Seeded, other: Seeded, ann: tuple[Caller, UUID]
) -> None:
    """S3-121, S3-122: a manager sees those of their client only."""
    caller, person = ann
    codes = [coupon_in(house, tenant, S.ASSIGNED, person) for tenant in (seeded, other)]
    coupon_in(house, seeded, S.ASSIGNED, new_id())

    first = caller.get("/users/me/coupons?limit=1").json
    second = caller.get(f"/users/me/coupons?limit=1&cursor={first['next_cursor']}").json

    assert [page["data"][0]["code"] for page in (first, second)] == codes[::-1]
    assert (first["has_more"], second["has_more"]) == (True, False)


def test_s3_121_a_manager_lists_a_persons_coupons_of_their_own_client(
    house: House, seeded: Seeded, other: Seeded, ann: tuple[Caller, UUID], manager: Caller
) -> None:
    _caller, person = ann
    code = coupon_in(house, seeded, S.ASSIGNED, person)
    coupon_in(house, other, S.ASSIGNED, person)

    listed = manager.get(f"/users/{person}/coupons").json

    assert [(one["code"], one["state"]) for one in listed["data"]] == [(code, "assigned")]


def test_a_program_acts_on_whosever_coupon_it_is(
    app: Flask, house: House, seeded: Seeded, ann: tuple[Caller, UUID]
) -> None:
    """A storefront's key redeems for its customer, and for nobody else's if it says whose."""
    code = coupon_in(house, seeded, S.ASSIGNED, ann[1])
    program = key_caller(app, house, seeded.client_id)

    wrong = act(program, f"/coupons/redeem/{code}", {"user_id": str(new_id())})
    before = state_of(house, code)
    status, body = end_of(house, program, act(program, f"/coupons/redeem/{code}"))

    assert (wrong.status_code, before) == (404, "assigned")
    assert (status, body["result"]["coupon"]["user_id"]) == (200, str(ann[1]))
    assert state_of(house, code) == "redeemed"


def test_ec035_a_redemption_is_replayed_to_its_end_user(
    house: House, seeded: Seeded, ann: tuple[Caller, UUID]
) -> None:
    caller, person = ann
    code = coupon_in(house, seeded, S.ASSIGNED, person)
    path, named = f"/coupons/redeem/{code}", {"Idempotency_Key": "once"}
    first = caller.post(path, {}, **named)
    finish(house)

    again = caller.post(path, {}, **named)
    waiting = caller.post(path, {}, **named, Prefer="wait=1")
    other = caller.post(path, {"lock_token": "x" * 64}, **named)

    assert first.json["id"] == again.json["id"] == waiting.json["id"]
    assert [first.status_code, again.status_code, waiting.status_code] == [202, 202, 200]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (other.status_code, other.json["code"]) == (422, "idempotency_key_reuse")
    assert events(house, code) == ["assigned", "redeemed"]


def test_nobody_sees_a_coupon_through_anothers_client(
    house: House, seeded: Seeded, ann: tuple[Caller, UUID]
) -> None:
    """Naming a client that did not give it finds nothing."""
    caller, person = ann
    code = coupon_in(house, seeded, S.ASSIGNED, person)

    answer = act(caller, f"/coupons/redeem/{code}", {"client_id": str(new_id())})

    assert (answer.status_code, state_of(house, code)) == (404, "assigned")
