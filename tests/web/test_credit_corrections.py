"""Nobody corrects the books alone: adjustments, reversals, unfreezing (EC-073, EC-074, SEC-31)."""

from dataclasses import dataclass
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import text
from werkzeug.test import TestResponse

from models.database import scoped_transaction
from models.people import Role
from models.scope import PLATFORM, SYSTEM
from pipelines.credit.adjust import reverse
from pipelines.credit.refusals import AlreadyReversed
from pipelines.wiring import House
from tests.driving import recipients_csv, rows, submit
from tests.proof import assert_proven
from tests.racing import race
from tests.seeding import ACTOR, Seeded, seed
from tests.web.conftest import Caller, signed_in

FUNDED = 100_000


@dataclass(frozen=True, slots=True)
class Platform:
    """Two administrators of the platform and a client's account."""

    ann: Caller
    bob: Caller
    account: str

    def balance(self) -> int:
        return int(self.ann.get(f"/credit/accounts/{self.account}").json["balance_minor"])

    def adjusted(self, amount: int, key: str = "a") -> TestResponse:
        body = {"account_id": self.account, "amount_minor": amount, "reason": "bank error"}
        return self.ann.post("/credit/adjustments", body, Idempotency_Key=key)

    def agreed(self, asked: TestResponse) -> TestResponse:
        assert asked.status_code == 202, asked.json
        return self.bob.post(f"/approvals/{asked.json['id']}/approve")

    def reversal(self, transfer: str, key: str = "r") -> TestResponse:
        body = {"reason": "wrong account"}
        return self.ann.post(f"/credit/transfers/{transfer}/reverse", body, Idempotency_Key=key)


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, credit_minor=FUNDED, vendor=False)


@pytest.fixture
def platform(app: Flask, house: House, seeded: Seeded) -> Platform:
    return Platform(
        signed_in(app, house, Role.PLATFORM_ADMIN, seeded),
        signed_in(app, house, Role.PLATFORM_ADMIN, seeded, name="bob."),
        str(seeded.client_account),
    )


def spoil(house: House, account: object, change: str) -> None:
    """Somebody edits the account by hand."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text(f"UPDATE accounts SET {change} WHERE id = :id"), {"id": account})


@pytest.mark.parametrize("amount", [1, 700, -700, -FUNDED])
def test_an_adjustment_of_any_amount_waits_for_a_second_person(
    house: House, platform: Platform, amount: int
) -> None:
    asked = platform.adjusted(amount)
    assert platform.balance() == FUNDED
    own = platform.ann.post(f"/approvals/{asked.json['id']}/approve")
    assert (own.status_code, own.json["code"]) == (403, "self_approval")

    done = platform.agreed(asked)

    assert (done.status_code, done.json["state"]) == (200, "approved")
    assert platform.balance() == FUNDED + amount
    (made,) = rows(
        house, "SELECT kind, notes FROM transfers WHERE id = :id", id=done.json["result_id"]
    )
    assert tuple(made) == ("adjustment", "bank error")
    assert platform.adjusted(amount).json["id"] == asked.json["id"]
    assert_proven(house)


def test_more_than_there_is_cannot_be_taken_out(platform: Platform) -> None:
    refused = platform.agreed(platform.adjusted(-FUNDED - 1))

    assert (refused.status_code, refused.json["code"]) == (402, "insufficient_credit")
    assert platform.balance() == FUNDED


@pytest.mark.parametrize("amount", [0, 1.5, "5", True, None, 10**18])
def test_an_amount_that_is_none_is_refused(platform: Platform, amount: object) -> None:
    body = {"account_id": platform.account, "amount_minor": amount, "reason": "x"}

    refused = platform.ann.post("/credit/adjustments", body, Idempotency_Key="a")

    assert refused.status_code == 422
    assert refused.json["errors"][0]["pointer"] == "/amount_minor"


def test_ec073_a_transfer_is_reversed_once(house: House, platform: Platform) -> None:
    """EC-073: two ask, the first approved moves it back, the second finds it done."""
    (first,) = rows(
        house,
        "SELECT transfer_id FROM postings WHERE account_id = :id AND amount > 0",
        id=platform.account,
    )
    asked = platform.reversal(first.transfer_id), platform.reversal(first.transfer_id, "s")

    done, again = (platform.agreed(one) for one in asked)

    assert (done.status_code, platform.balance()) == (200, 0)
    assert (again.status_code, again.json["code"]) == (409, "already_reversed")
    late = platform.reversal(first.transfer_id, "t")
    assert (late.status_code, late.json["code"]) == (409, "already_reversed")
    of_it = platform.reversal(done.json["result_id"], "u")
    assert (of_it.status_code, of_it.json["code"]) == (409, "not_reversible")
    assert platform.reversal(str(uuid4()), "v").status_code == 404
    assert_proven(house)


def test_ec073_of_two_reversals_at_once_one_is_made(house: House, platform: Platform) -> None:
    """EC-073: race(2); the one that comes second hears why, though the credit is gone too."""
    (first,) = rows(
        house,
        "SELECT transfer_id FROM postings WHERE account_id = :id AND amount > 0",
        id=platform.account,
    )

    def attempt() -> bool:
        try:
            with scoped_transaction(house.sessions, PLATFORM) as session:
                reverse(
                    session,
                    transfer_id=first.transfer_id,
                    notes="wrong account",
                    client_ref=f"r:{uuid4()}",
                    actor_id=ACTOR,
                )
        except AlreadyReversed:
            return False
        return True

    assert race(2, attempt) == 1
    assert platform.balance() == 0
    assert_proven(house)


def test_ec074_a_ledger_with_less_than_jobs_hold_is_adjusted_first(
    house: House, platform: Platform, seeded: Seeded
) -> None:
    """EC-074: jobs held credit that an edit made up; no account can stand so, and the answer says what to do."""
    spoil(house, platform.account, "balance = balance + 50000")
    submit(house, seeded, recipients_csv(1), denomination_minor=FUNDED + 20_000)
    platform.ann.post("/credit/balance-checks")
    path = f"/credit/accounts/{platform.account}/unfreeze"

    refused = platform.ann.post(path, {"reason": "edited"}, Idempotency_Key="u")

    assert (refused.status_code, refused.json["code"]) == (402, "insufficient_credit")
    assert "Adjust its credit first" in refused.json["detail"]
    assert (refused.json["required_minor"], refused.json["available_minor"]) == (120_000, FUNDED)
    assert platform.agreed(platform.adjusted(20_000)).status_code == 200
    asked = platform.ann.post(path, {"reason": "edited"}, Idempotency_Key="w")
    assert platform.agreed(asked).status_code == 200
    assert platform.balance() == 120_000
    assert_proven(house)


def test_ec074_what_was_spent_is_unfrozen_by_two_as_well(
    house: House, platform: Platform, seeded: Seeded
) -> None:
    (spent,) = rows(
        house,
        "SELECT id FROM accounts WHERE kind = 'spent' AND client_id = :client",
        client=seeded.client_id,
    )
    spoil(house, spent.id, "balance = 9")
    assert platform.ann.post("/credit/balance-checks").json == {"frozen": [str(spent.id)]}
    path = f"/credit/accounts/{spent.id}/unfreeze"

    asked = platform.ann.post(path, {"reason": "edited"}, Idempotency_Key="u")

    assert asked.json["detail"]["balance_drift_minor"] == 9
    assert platform.agreed(asked).status_code == 200
    assert platform.ann.post("/credit/balance-checks").json == {"frozen": []}
    assert_proven(house)


def test_ec074_a_frozen_account_answers_423_until_two_have_decided(
    house: House, platform: Platform
) -> None:
    spoil(house, platform.account, "balance = balance - 9")
    found = platform.ann.post("/credit/balance-checks").json
    assert found == {"frozen": [platform.account]}
    account = platform.ann.get(f"/credit/accounts/{platform.account}").json
    back = {
        "from_account_id": platform.account,
        "to_account_id": account["parent_id"],
        "amount_minor": 5,
    }
    refused = platform.ann.post("/credit/recalls", back, Idempotency_Key="b")
    assert (refused.status_code, refused.json["code"]) == (423, "account_frozen")
    assert account["frozen_at"] is not None

    path = f"/credit/accounts/{platform.account}/unfreeze"
    asked = platform.ann.post(path, {"reason": "typed by hand"}, Idempotency_Key="u")
    assert asked.json["detail"]["balance_minor"] == FUNDED
    assert platform.agreed(asked).status_code == 200
    assert platform.balance() == FUNDED
    assert platform.ann.post("/credit/recalls", back, Idempotency_Key="c").status_code == 201
    again = platform.ann.post(path, {"reason": "again"}, Idempotency_Key="w")
    assert (again.status_code, again.json["code"]) == (409, "not_frozen")
    assert_proven(house)
