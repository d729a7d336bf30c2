"""Credit that is paid for at Stripe, and taken back with it (EC-077)."""

from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from models.database import scoped_transaction
from models.ledger import TransferKind
from models.people import Role
from models.scope import SYSTEM
from pipelines.credit.transfer import move
from pipelines.wiring import House
from tests.checkout.test_payment_events import event
from tests.clawing import dispute
from tests.discounting import said
from tests.driving import rows
from tests.paying import WHERE, Till, alerts_of
from tests.proof import assert_proven
from tests.web.conftest import Caller, signed_in


@pytest.fixture
def boss(app: Flask, vendor_house: House, till: Till) -> Caller:
    return signed_in(app, vendor_house, Role.CLIENT_ADMIN, till.seeded)


def account_of(till: Till) -> Any:
    (row,) = rows(
        till.house,
        "SELECT id, balance, restricted_at FROM accounts WHERE owner_id = :id AND kind = 'credit'",
        id=till.seeded.client_id,
    )
    return row


def begin(till: Till, boss: Caller, amount: int = 100_000, key: str = "t1") -> Any:
    body = WHERE | {"account_id": str(account_of(till).id), "amount_minor": amount}
    return boss.post("/credit/top-ups", body, Idempotency_Key=key)


def paid(till: Till, boss: Caller, amount: int = 100_000) -> dict[str, Any]:
    top_up: dict[str, Any] = begin(till, boss, amount).json
    till.move(top_up, "pay")
    till.deliver()
    return top_up


def test_ec077_a_top_up_is_there_once_it_is_paid_and_only_once(till: Till, boss: Caller) -> None:
    before = account_of(till).balance

    made, again = begin(till, boss), begin(till, boss)
    unpaid = account_of(till).balance
    till.move(made.json, "pay")
    till.deliver()
    till.deliver(till.events())

    assert (made.status_code, made.json["state"]) == (201, "open")
    assert again.json["checkout_url"] == made.json["checkout_url"]
    assert unpaid == before
    assert account_of(till).balance == before + 100_000
    shown = boss.get(f"/credit/top-ups/{made.json['id']}").json
    assert (shown["state"], shown["transfer_id"] is None) == ("succeeded", False)
    assert [one["id"] for one in boss.get("/credit/top-ups").json["data"]] == [made.json["id"]]
    assert_proven(till.house)


def test_ec077_what_is_refunded_of_a_top_up_is_taken_back_and_what_is_spent_is_owed(
    till: Till, boss: Caller
) -> None:
    before = account_of(till).balance
    top_up = paid(till, boss, before + 100_000)

    till.steer(f"payments/{top_up['session_id']}/refund", amount=60_000)
    till.deliver()
    part = account_of(till).balance
    till.steer(f"payments/{top_up['session_id']}/refund")
    till.deliver()
    till.deliver(till.events())

    assert part == 2 * before + 40_000
    assert account_of(till).balance == before
    (moved,) = rows(till.house, "SELECT sum(claimed) AS claimed FROM receivables")
    assert moved.claimed == before + 100_000
    assert_proven(till.house)


def test_ec077_a_dispute_takes_the_credit_and_a_won_one_gives_it_back(
    till: Till, boss: Caller
) -> None:
    before = account_of(till).balance
    top_up = paid(till, boss)

    made = till.steer(f"payments/{top_up['session_id']}/dispute")
    till.deliver()
    disputed = account_of(till).balance
    till.steer(f"disputes/{made['id']}/close", status="won")
    till.deliver()
    till.deliver(till.events())

    assert (disputed, account_of(till).balance) == (before, before + 100_000)
    assert_proven(till.house)


def test_ec077_a_dispute_of_spent_credit_restricts_the_account(till: Till, boss: Caller) -> None:
    top_up = paid(till, boss)
    spend_all(till)

    till.steer(f"payments/{top_up['session_id']}/dispute")
    till.deliver()

    account = account_of(till)
    assert (account.balance, account.restricted_at is None) == (0, False)
    (owed,) = rows(till.house, "SELECT claimed - taken AS owed FROM receivables")
    assert owed.owed == 100_000
    assert "credit_owed" in alerts_of(till.house)


def spend_all(till: Till) -> None:
    """The client gives all that it has to its campaign."""
    account = account_of(till)
    (spent,) = rows(
        till.house,
        "SELECT id FROM accounts WHERE owner_id = :id AND kind = 'spent'",
        id=till.seeded.client_id,
    )
    with scoped_transaction(till.house.sessions, SYSTEM) as session:
        move(
            session,
            kind=TransferKind.CAPTURE,
            source=account.id,
            target=spent.id,
            amount=account.balance,
            client_ref="spent",
        )


def test_ec077_refunds_that_fail_one_after_the_other_give_all_back(
    till: Till, boss: Caller
) -> None:
    before = account_of(till).balance
    top_up = paid(till, boss)
    refunds = []
    for amount in (30_000, 70_000):
        refunds.append(
            till.steer(f"payments/{top_up['session_id']}/refund", amount=amount, status="pending")
        )
        till.deliver()
    gone = account_of(till).balance
    for refund in refunds:
        till.steer(f"refunds/{refund['id']}/fail")
        till.deliver()

    assert gone == before
    assert account_of(till).balance == before + 100_000
    assert_proven(till.house)


def test_ec077_what_people_took_back_of_a_top_up_is_not_given_again(
    till: Till, boss: Caller
) -> None:
    before = account_of(till).balance
    top_up = paid(till, boss)
    transfer = UUID(boss.get(f"/credit/top-ups/{top_up['id']}").json["transfer_id"])
    dispute(till.house, transfer, 100_000)

    made = till.steer(f"payments/{top_up['session_id']}/dispute", amount=1_000)
    till.deliver()
    till.steer(f"disputes/{made['id']}/close", status="won")
    till.deliver()

    assert account_of(till).balance == before
    assert_proven(till.house)


def test_ec049_a_top_up_of_another_amount_is_no_credit_and_goes_back(
    till: Till, boss: Caller
) -> None:
    before = account_of(till).balance
    top_up = begin(till, boss).json
    till.move(top_up, "pay")
    (paying,) = [one for one in till.events() if one["type"] == "checkout.session.completed"]
    paying["data"]["object"]["amount_total"] = 99_999

    till.deliver([paying])
    till.work()

    assert account_of(till).balance == before
    assert alerts_of(till.house) == ["amount_mismatch"]
    assert till.sandbox.control("GET", "/stripe/summary")["refunded"] == 99_999


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_ec048_the_events_of_a_top_up_end_in_one_balance(
    till: Till, boss: Caller, order: tuple[int, ...]
) -> None:
    before = account_of(till).balance
    top_up = begin(till, boss).json
    names = {"payment_id": top_up["id"]}
    charge = {
        "id": "ch_1",
        "payment_intent": "pi_1",
        "amount": 100_000,
        "amount_refunded": 30_000,
        "currency": "usd",
        "paid": True,
        "status": "succeeded",
        "metadata": names,
    }
    dispute = {
        "id": "dp_1",
        "payment_intent": "pi_1",
        "amount": 20_000,
        "currency": "usd",
        "status": "needs_response",
        "reason": "fraudulent",
        "metadata": names,
    }
    session = {
        "id": top_up["session_id"],
        "status": "complete",
        "payment_status": "paid",
        "amount_total": 100_000,
        "currency": "usd",
        "payment_intent": "pi_1",
    }
    told = [
        event("checkout.session.completed", session),
        event("charge.refunded", charge),
        event("charge.dispute.created", dispute),
    ]

    till.deliver(told[place] for place in order)

    assert account_of(till).balance == before + 50_000
    assert_proven(till.house)


def test_only_a_tenant_s_own_account_is_topped_up(till: Till, boss: Caller) -> None:
    (foreign,) = rows(
        till.house, "SELECT id FROM accounts WHERE tier = 'platform' AND kind = 'credit' LIMIT 1"
    )
    body = WHERE | {"amount_minor": 1_000}

    beyond = boss.post(
        "/credit/top-ups", body | {"account_id": str(foreign.id)}, Idempotency_Key="x"
    )
    keyless = boss.post("/credit/top-ups", body | {"account_id": str(UUID(int=5))})
    small = begin(till, boss, 49, key="y")

    assert said(beyond) == (404, "not_found")
    assert said(keyless) == (400, "idempotency_key_required")
    assert said(small) == (422, "below_minimum_charge")
