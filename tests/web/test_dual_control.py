"""Much credit moves only when a second person agrees (SEC-31)."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pytest
from flask import Flask
from psycopg import errors as pg
from sqlalchemy.exc import IntegrityError

from models.people import Role
from pipelines.wiring import House
from tests.auditing import as_superuser
from tests.conftest import Database
from tests.driving import rows
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, signed_in
from web.app import create_app

LARGE = 500_000


@pytest.fixture
def app(house: House) -> Flask:
    """A house in which 5,000.00 are much, and half of it wants a proof."""
    return create_app(
        replace(
            house,
            limits=replace(
                house.limits,
                second_person_allocation_minor=LARGE,
                step_up_allocation_minor=LARGE // 2,
            ),
        )
    )


@dataclass(frozen=True, slots=True)
class Agency:
    """An agency with two administrators, and the accounts between which they move credit."""

    ann: Caller
    bob: Caller
    parent: str
    child: str

    def recall(self, amount: int, key: str = "one", caller: Caller | None = None):
        body = {
            "from_account_id": self.child,
            "to_account_id": self.parent,
            "amount_minor": amount,
            "notes": "end of season",
        }
        return (caller or self.ann).post("/credit/recalls", body, Idempotency_Key=key)

    def balance(self) -> int:
        account: dict[str, Any] = self.ann.get(f"/credit/accounts/{self.parent}").json
        return int(account["balance_minor"])


@pytest.fixture
def agency(app: Flask, house: House, seeded: Seeded) -> Agency:
    ann = signed_in(app, house, Role.AGENCY_ADMIN, seeded)
    bob = signed_in(app, house, Role.AGENCY_ADMIN, seeded, name="bob.")
    accounts = ann.get("/credit/accounts").json["data"]
    parent = next(a for a in accounts if a["tier"] == "agency")
    child = next(a for a in accounts if a["parent_id"] == parent["id"])
    return Agency(ann, bob, parent["id"], child["id"])


def test_little_moves_at_once_and_much_waits(agency: Agency):
    before = agency.balance()

    little, much = agency.recall(LARGE - 1), agency.recall(LARGE, key="two")

    assert (little.status_code, much.status_code) == (201, 202)
    assert much.json["state"] == "pending"
    assert much.headers["Location"] == f"/api/v1/approvals/{much.json['id']}"
    assert agency.balance() == before + LARGE - 1


def test_sec031_many_small_movements_are_one_large_one(agency: Agency):
    """In both directions, whatever the account; a day later they are forgotten."""
    half = LARGE // 2
    there = {"from_account_id": agency.parent, "to_account_id": agency.child}
    body = there | {"amount_minor": half, "notes": ""}

    first = agency.recall(half)
    back = agency.ann.post("/credit/allocations", body, Idempotency_Key="two")
    other = agency.recall(half, key="three", caller=agency.bob)
    replayed = agency.recall(half)

    assert [r.status_code for r in (first, back, other, replayed)] == [201, 202, 201, 201]
    assert replayed.json == first.json


def test_sec031_what_a_second_person_agreed_to_is_not_counted(agency: Agency):
    asked = agency.recall(LARGE).json
    agency.bob.post(f"/approvals/{asked['id']}/approve")

    assert agency.recall(1, key="two").status_code == 201


def test_sec031_what_was_moved_yesterday_is_not_counted(database: Database, agency: Agency):
    agency.recall(LARGE - 1)
    as_superuser(database, "UPDATE transfers SET created_at = created_at - interval '24 hours'")

    assert agency.recall(LARGE - 1, key="two").status_code == 201


def test_sec031_movements_at_the_same_time_see_each_other(agency: Agency):
    with ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(lambda n: agency.recall(LARGE // 2 - 1, key=f"k{n}").status_code, range(6))
        )

    assert sorted(answers) == [201, 201, 202, 202, 202, 202]


def test_sec031_a_campaign_s_budget_is_no_way_round(
    app: Flask, house: House, agency: Agency, seeded: Seeded
):
    """Neither the amount given nor what comes back when the campaign shares again."""
    admin = signed_in(app, house, Role.CLIENT_ADMIN, seeded)
    budget = f"/campaigns/{seeded.campaign_id}/budget"
    own = {"mode": "isolated", "currency": "USD"}

    much = admin.post(budget, own | {"amount_minor": LARGE}, Idempotency_Key="one")
    most = admin.post(budget, own | {"amount_minor": LARGE - 1}, Idempotency_Key="two")
    back = admin.post(budget, {"mode": "shared"})

    assert [r.json.get("code") for r in (much, most, back)] == [
        "second_person_needed",
        None,
        "second_person_needed",
    ]
    rows(house, "UPDATE sign_ins SET proven_at = now() - interval '301 seconds' RETURNING 1")
    unproven = admin.post(budget, own | {"amount_minor": 1}, Idempotency_Key="three")
    assert unproven.json["code"] == "step_up_required"


def test_what_was_moved_is_told_again_without_a_proof(house: House, agency: Agency):
    """Whoever lost the answer learns of it, also when the key is forgotten."""
    first = agency.recall(LARGE // 2 + 1)
    rows(house, "UPDATE sign_ins SET proven_at = now() - interval '301 seconds' RETURNING 1")
    before = agency.balance()

    again = agency.recall(LARGE // 2 + 1)
    rows(house, "DELETE FROM idempotency_keys RETURNING 1")
    later = agency.recall(LARGE // 2 + 1)

    assert (again.status_code, again.json, later.status_code) == (201, first.json, 201)
    assert later.json == first.json
    assert agency.balance() == before


def test_sec004_movements_at_the_same_time_do_not_get_round_the_proof(house: House, agency: Agency):
    rows(house, "UPDATE sign_ins SET proven_at = now() - interval '301 seconds' RETURNING 1")
    with ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(lambda n: agency.recall(LARGE // 4, key=f"k{n}").status_code, range(6))
        )

    assert sorted(answers) == [201, 403, 403, 403, 403, 403]


def test_sec004_small_movements_want_a_proof_once_they_are_much(house: House, agency: Agency):
    rows(house, "UPDATE sign_ins SET proven_at = now() - interval '301 seconds' RETURNING 1")

    small = agency.recall(LARGE // 2 - 1)
    more = agency.recall(1, key="two")

    assert (small.status_code, more.json["code"]) == (201, "step_up_required")


def test_sec031_nobody_approves_what_they_asked_for(agency: Agency):
    asked = agency.recall(LARGE).json
    before = agency.balance()

    own = agency.ann.post(f"/approvals/{asked['id']}/approve")

    assert (own.status_code, own.json["code"]) == (403, "self_approval")
    assert agency.balance() == before


def test_the_database_knows_it_too(house: House, agency: Agency):
    agency.recall(LARGE)

    with pytest.raises(IntegrityError) as caught:
        rows(house, "UPDATE approvals SET decided_by = requested_by RETURNING 1")

    assert isinstance(caught.value.orig, pg.CheckViolation)


def test_a_second_person_agrees_and_it_happens_once(house: House, agency: Agency):
    asked = agency.recall(LARGE).json
    before = agency.balance()

    agreed = agency.bob.post(f"/approvals/{asked['id']}/approve")
    again = agency.bob.post(f"/approvals/{asked['id']}/approve")

    assert (agreed.status_code, agreed.json["state"]) == (200, "approved")
    assert (again.status_code, again.json["code"]) == (409, "approval_decided")
    assert agency.balance() == before + LARGE
    (transfer,) = rows(
        house, "SELECT id, amount FROM transfers WHERE id = :id", id=agreed.json["result_id"]
    )
    assert transfer.amount == LARGE
    told = rows(house, "SELECT action, actor_id FROM audit_entries ORDER BY at, id")
    ann, bob = (c.get("/auth/me").json["id"] for c in (agency.ann, agency.bob))
    assert [
        (row.action, str(row.actor_id))
        for row in told
        if row.action.startswith(("app", "credit.r"))
    ] == [("approval.requested", ann), ("credit.recalled", ann), ("approval.approved", bob)]


def test_of_many_who_agree_at_once_one_does(house: House, agency: Agency):
    asked = agency.recall(LARGE).json
    before = agency.balance()

    with ThreadPoolExecutor(6) as pool:
        statuses = list(
            pool.map(
                lambda _: agency.bob.post(f"/approvals/{asked['id']}/approve").status_code, range(6)
            )
        )

    assert sorted(statuses) == [200, *[409] * 5]
    assert agency.balance() == before + LARGE


def test_a_second_person_disagrees_and_says_why(agency: Agency):
    asked = agency.recall(LARGE).json
    before = agency.balance()

    no = agency.bob.post(f"/approvals/{asked['id']}/reject", {"reason": "Not this quarter"})

    assert (no.status_code, no.json["state"], no.json["reason"]) == (
        200,
        "rejected",
        "Not this quarter",
    )
    assert agency.ann.get(f"/approvals/{asked['id']}").json["state"] == "rejected"
    assert agency.bob.post(f"/approvals/{asked['id']}/approve").status_code == 409
    assert agency.balance() == before


def test_after_a_day_it_has_expired(house: House, agency: Agency):
    asked = agency.recall(LARGE).json
    rows(house, "UPDATE approvals SET expires_at = expires_at - interval '24 hours' RETURNING 1")

    late = agency.bob.post(f"/approvals/{asked['id']}/approve")

    assert (late.status_code, late.json["code"]) == (409, "approval_expired")
    assert agency.ann.get(f"/approvals/{asked['id']}").json["state"] == "expired"
    assert agency.ann.get("/approvals?pending=true").json["data"] == []


def test_what_cannot_happen_goes_on_waiting(house: House, agency: Agency):
    asked = agency.recall(10**12).json

    refused = agency.bob.post(f"/approvals/{asked['id']}/approve")

    assert (refused.status_code, refused.json["code"]) == (402, "insufficient_credit")
    assert agency.ann.get(f"/approvals/{asked['id']}").json["state"] == "pending"


def test_a_wrong_direction_is_refused_when_it_is_asked_for(agency: Agency):
    body = {
        "from_account_id": agency.child,
        "to_account_id": agency.parent,
        "amount_minor": LARGE,
        "notes": "",
    }

    answer = agency.ann.post("/credit/allocations", body, Idempotency_Key="x")

    assert (answer.status_code, answer.json["code"]) == (422, "allocation_direction")
    assert agency.ann.get("/approvals").json["data"] == []


def test_a_repeat_names_the_same_approval(agency: Agency):
    first, again = agency.recall(LARGE), agency.recall(LARGE)

    assert first.json["id"] == again.json["id"]
    assert again.headers["Idempotent-Replayed"] == "true"


def test_agreeing_wants_a_fresh_proof(house: House, agency: Agency):
    asked = agency.recall(LARGE).json
    rows(house, "UPDATE sign_ins SET proven_at = now() - interval '301 seconds' RETURNING 1")

    answer = agency.bob.post(f"/approvals/{asked['id']}/approve")

    assert answer.json["code"] == "step_up_required"


def test_nobody_approves_for_who_left(house: House, agency: Agency):
    asked = agency.recall(LARGE).json
    ann = agency.ann.get("/auth/me").json["id"]
    rows(house, "UPDATE users SET disabled_at = now() WHERE id = :id RETURNING 1", id=ann)

    answer = agency.bob.post(f"/approvals/{asked['id']}/approve")

    assert (answer.status_code, answer.json["code"]) == (409, "asker_left")
    rows(
        house,
        "UPDATE users SET disabled_at = NULL, role = 'agency_viewer' WHERE id = :id RETURNING 1",
        id=ann,
    )
    assert agency.bob.post(f"/approvals/{asked['id']}/approve").json["code"] == "asker_left"
    assert (
        agency.bob.post(f"/approvals/{asked['id']}/reject", {"reason": "left"}).status_code == 200
    )


def test_nobody_is_made_to_approve_it(app: Flask, house: House, agency: Agency, seeded: Seeded):
    """A second account of who asked is no second person."""
    asked = agency.recall(LARGE).json
    puppet = signed_in(app, house, Role.AGENCY_ADMIN, seeded, name="puppet.")

    answer = puppet.post(f"/approvals/{asked['id']}/approve")

    assert (answer.status_code, answer.json["code"]) == (403, "approver_too_new")


def test_another_tenant_sees_nothing_of_it(app: Flask, house: House, agency: Agency):
    asked = agency.recall(LARGE).json
    stranger = signed_in(app, house, Role.AGENCY_ADMIN, seed(house, vendor=False))

    assert stranger.get("/approvals").json["data"] == []
    assert stranger.get(f"/approvals/{asked['id']}").status_code == 404
    assert stranger.post(f"/approvals/{asked['id']}/approve").status_code == 404
    assert stranger.post(f"/approvals/{asked['id']}/reject", {"reason": "x"}).status_code == 404


def test_somebody_above_may_agree_and_somebody_below_does_not_see_it(
    app: Flask, house: House, agency: Agency, seeded: Seeded
):
    client = signed_in(app, house, Role.CLIENT_ADMIN, seeded)
    platform = signed_in(app, house, Role.PLATFORM_ADMIN)
    asked = agency.recall(LARGE).json

    assert client.post(f"/approvals/{asked['id']}/approve").status_code == 404
    assert platform.post(f"/approvals/{asked['id']}/approve").status_code == 200
