"""A customer brings a friend, and is rewarded when the friend has paid and kept it (S2-128)."""

from typing import Any
from uuid import UUID

import psycopg
import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from models import clock
from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from ops.bootstrap import database_url
from pipelines.discounts.rules import DiscountKind, DiscountRules
from pipelines.referrals.issue import issue_rewards
from pipelines.wiring import House
from tests.checkout.test_checkout_races import at_once
from tests.conftest import Database
from tests.discounting import asked, cart, make_discount, said
from tests.driving import change, rows
from tests.paying import Till
from tests.proof import assert_proven, violations
from tests.referring import (
    ANN,
    BODY,
    hold_passes,
    issue,
    make_code,
    make_program,
    rewards,
)
from tests.suspecting import WHY, applied, flag, pay
from tests.web.conftest import Caller, signed_in

APPLY = "/discounts/apply"


@pytest.fixture
def boss(app: Flask, vendor_house: House, till: Till) -> Caller:
    return signed_in(app, vendor_house, Role.CLIENT_ADMIN, till.seeded)


def bought(till: Till, code: str, who: str = "bob@x.example", card: str = "") -> dict[str, Any]:
    """What a friend has paid with the code."""
    return pay(till, applied(till, who, code), card)


def refund(boss: Caller, purchase: dict[str, Any], **body: Any) -> None:
    answer = boss.post(
        f"/purchases/{purchase['id']}/refunds",
        {"reason": "came back"} | body,
        Idempotency_Key=f"{purchase['id']}-{len(body)}",
    )
    assert answer.status_code == 201, answer.json


def test_s2_128_a_friend_pays_and_the_referrer_alone_uses_the_reward(
    till: Till, boss: Caller
) -> None:
    program = boss.post("/referrals/programs", BODY).json
    codes = f"/referrals/programs/{program['id']}/codes"
    made = till.shop.post(codes, {"customer": {"email": ANN}})
    again = till.shop.post(codes, {"customer": {"email": "a.n.n+shop@googlemail.com"}})
    assert (made.status_code, again.status_code) == (201, 200)
    assert made.json == again.json
    assert made.json["code"].startswith("REF-")

    purchase = bought(till, made.json["code"])
    issue(till.house, till)
    assert (purchase["state"], rewards(till.house)) == ("confirmed", ["pending"])
    hold_passes(till.house)
    secret = {"Authorization": "Bearer " + "c" * 32}
    cron = till.app.test_client().post("/api/v1/cron/issue-rewards", headers=secret)
    assert (cron.json["issued"], cron.json["more"]) == (1, False)
    issue(till.house, till)

    (reward,) = till.shop.post(codes, {"customer": {"email": ANN}}).json["rewards"]
    assert (reward["id"], reward["state"]) == (purchase["id"], "issued")
    code = reward["reward_code"]
    assert said(till.shop.post(APPLY, asked(code, who="bob@x.example"))) == (404, "code_invalid")
    used = pay(till, applied(till, "an.n@gmail.com", code))
    assert used["amount_minor"] == 9_500
    assert said(till.shop.post(APPLY, asked(code, who=ANN)))[0] in {404, 409}
    counts = boss.get(f"/referrals/programs/{program['id']}").json["counts"]
    assert counts == {
        "codes": 1,
        "purchases": 1,
        "discounts": [{"currency": "USD", "discount_minor": 1_000}],
        "pending": 0,
        "issued": 1,
        "void": 0,
        "over_limit": 0,
    }
    (fact,) = rows(till.house, "SELECT * FROM webhook_facts WHERE type = 'referral.rewarded'")
    assert fact.object_id == UUID(purchase["id"])
    assert code not in str(fact.data)
    assert_proven(till.house)


def test_s2_128_the_referrer_cannot_use_the_own_code_by_any_name(till: Till, boss: Caller) -> None:
    program_id = make_program(till.house, till.seeded)
    pool = boss.post("/pools", {"name": "Shoppers"}).json["id"]
    people = {"create_missing": True, "emails": [ANN]}
    boss.post(f"/pools/{pool}/users", people)
    (person,) = rows(till.house, "SELECT user_id FROM client_users WHERE email = :a", a=ANN)
    code = make_code(till.house, till.seeded, program_id)

    for customer in ({"id": str(person.user_id)}, {"email": ANN}, {"email": "a.nn+x@gmail.com"}):
        answer = till.shop.post(APPLY, asked(code, customer=customer))
        assert said(answer) == (409, "own_referral"), customer
    looked = till.shop.get(
        f"/discounts/validate?code={code}&subtotal_minor=100&currency=USD&customer={ANN}"
    )
    assert looked.json["reason"] == "own_referral"
    # A guest's cart whose shopper signs in, and is the referrer.
    basket = cart(reference="c")
    till.reserve(code, customer={"external_id": "guest"}, cart=basket)
    both = {"external_id": "guest", "email": ANN}
    signed = till.shop.post(APPLY, asked(code, customer=both, cart=basket))
    assert said(signed) == (409, "own_referral")
    assert (
        rows(till.house, "SELECT FROM discount_usages WHERE cardinality(customer_keys) > 1") == []
    )


def test_s2_128_a_guest_with_the_referrer_s_card_waits_for_a_person(
    till: Till, boss: Caller
) -> None:
    make_discount(till.house, till.seeded, "OTHER")
    pay(till, applied(till, ANN, "OTHER"), "card-ann")
    code = make_code(till.house, till.seeded, make_program(till.house, till.seeded, hold_days=0))

    waits = bought(till, code, card="card-ann")

    assert (waits["state"], waits["review"], rewards(till.house)) == ("paid", "risk_high", [])
    (row,) = boss.get("/discounts/flagged").json["data"]
    assert [one["reason"] for one in row["reasons"]] == ["card_of_referrer"]
    boss.post(f"/usages/{row['id']}/approve", WHY)
    assert rewards(till.house) == ["pending"]


def test_s2_128_what_waited_for_a_person_is_rewarded_as_its_approval_finds_the_program(
    till: Till, boss: Caller
) -> None:
    path = f"/referrals/programs/{make_program(till.house, till.seeded)}"
    code = till.shop.post(f"{path}/codes", {"customer": {"email": ANN}}).json["code"]
    waits = applied(till, "bob@x.example", code)
    flag(till.house, waits)
    assert pay(till, waits)["review"] == "risk_high"

    reward = BODY["reward"] | {"amount_minor": 700}
    assert boss.call("PATCH", path, {"reward": reward}, If_Match="*").status_code == 200
    boss.post(f"/usages/{waits['id']}/approve", WHY)

    (row,) = rows(till.house, "SELECT state, reward FROM referral_rewards")
    assert (row.state, row.reward["amount_minor"]) == ("pending", 700)


def test_s2_128_who_once_paid_with_a_referrer_s_card_is_another_person(
    till: Till, boss: Caller
) -> None:
    """EC-014: a card is a sign that somebody cheats, and no name by which a code or reward is given."""
    for code, who in (("CARD1", ANN), ("CARD2", "max@x.example")):
        make_discount(till.house, till.seeded, code)
        pay(till, applied(till, who, code), "card-ann")
    codes = f"/referrals/programs/{boss.post('/referrals/programs', BODY).json['id']}/codes"
    hers = till.shop.post(codes, {"customer": {"email": ANN}}).json
    bought(till, hers["code"])
    hold_passes(till.house)
    issue(till.house, till)

    his = till.shop.post(codes, {"customer": {"email": "max@x.example"}})
    (reward,) = till.shop.post(codes, {"customer": {"email": ANN}}).json["rewards"]

    assert (his.status_code, his.json["rewards"]) == (201, [])
    assert his.json["code"] != hers["code"]
    taken = till.shop.post(APPLY, asked(reward["reward_code"], who="max@x.example"))
    assert said(taken) == (404, "code_invalid")
    own = till.shop.post(APPLY, asked(hers["code"], who="max@x.example"))
    assert said(own) == (409, "own_referral")
    assert_proven(till.house)


def test_s2_128_what_is_not_kept_earns_nothing(till: Till, boss: Caller) -> None:
    """A part may go back; all of it, a dispute that is open or lost, and a rejection take it away."""
    code = make_code(till.house, till.seeded, make_program(till.house, till.seeded))
    part, whole, disputed, flagged = (
        bought(till, code, f"friend{number}@x.example") for number in range(4)
    )
    refund(boss, part, amount_minor=8_999)
    refund(boss, whole)
    dispute = till.steer(f"payments/{disputed['session_id']}/dispute")
    till.deliver()
    flag(till.house, {"id": flagged["reservation_id"]})
    assert rewards(till.house) == ["pending", "void", "void", "pending"]
    hold_passes(till.house)
    issue(till.house, till)
    # What a person has yet to decide on waits.
    assert rewards(till.house) == ["issued", "void", "void", "pending"]

    boss.post(f"/usages/{flagged['reservation_id']}/reject", WHY)
    till.steer(f"disputes/{dispute['id']}/close", status="won")
    till.deliver()
    till.deliver(till.events())
    assert rewards(till.house) == ["issued", "void", "pending", "void"]
    issue(till.house, till)
    assert rewards(till.house) == ["issued", "void", "issued", "void"]
    # What was given stays given.
    refund(boss, part)
    till.deliver()
    assert rewards(till.house) == ["issued", "void", "issued", "void"]
    assert_proven(till.house)


def test_s2_128_a_refund_that_fails_gives_the_reward_back(till: Till) -> None:
    code = make_code(till.house, till.seeded, make_program(till.house, till.seeded))
    purchase = bought(till, code)
    made = till.steer(f"payments/{purchase['session_id']}/refund", status="pending")
    till.deliver()
    before = rewards(till.house)

    till.steer(f"refunds/{made['id']}/fail")
    till.deliver()

    assert (before, rewards(till.house)) == (["void"], ["pending"])


def test_s2_128_what_costs_nothing_earns_nothing(till: Till) -> None:
    all_off = DiscountRules(DiscountKind.PERCENT, percent_bp=10_000)
    code = make_code(till.house, till.seeded, make_program(till.house, till.seeded, friend=all_off))
    purchase = till.checkout(applied(till, "bob@x.example", code))
    assert (till.purchase(purchase["purchase_id"])["state"], rewards(till.house)) == (
        "confirmed",
        [],
    )


def test_s2_128_a_referrer_gets_as_many_rewards_as_the_program_gives(till: Till) -> None:
    """Each end is audited as what it is, also one that only the duty notices."""
    program_id = make_program(till.house, till.seeded, max_rewards_per_referrer=2)
    code = make_code(till.house, till.seeded, program_id)
    *_kept, last = (bought(till, code, f"friend{number}@x.example") for number in range(4))
    change(till.house, "UPDATE payments SET is_disputed = true WHERE id = :id", id=UUID(last["id"]))
    hold_passes(till.house)

    def pass_of_one() -> int:
        with scoped_transaction(till.house.sessions, SYSTEM) as session:
            return issue_rewards(session, clock.now(session), limit=1).issued

    assert at_once(pass_of_one, pass_of_one, pass_of_one).count(0) >= 1
    issue(till.house, till)

    assert rewards(till.house) == ["issued", "issued", "over_limit", "void"]
    told = rows(
        till.house,
        "SELECT split_part(action, '.', 2) AS state FROM audit_entries "
        "WHERE object_kind = 'referral_reward' AND action <> 'referral_reward.pending'",
    )
    assert sorted(one.state for one in told) == ["issued", "issued", "over_limit", "void"]
    assert_proven(till.house)


def test_s2_128_a_worker_that_dies_in_the_middle_gives_each_reward_once(
    till: Till, database: Database
) -> None:
    code = make_code(till.house, till.seeded, make_program(till.house, till.seeded))
    for number in range(3):
        bought(till, code, f"friend{number}@x.example")
    hold_passes(till.house)
    codes = "SELECT FROM discount_codes"
    before = len(rows(till.house, codes))
    drawn: list[int] = []

    def die(count: int) -> bytes:
        """At the second reward, when the first is written, the connection is gone."""
        drawn.append(count)
        if len(drawn) == 2:
            with psycopg.connect(database_url(database.admin_url, database.name)) as other:
                other.execute("SELECT pg_terminate_backend(%s, 30000)", [pid])
        return bytes(count)

    with (
        pytest.raises(DBAPIError),
        scoped_transaction(till.house.sessions, SYSTEM) as session,
    ):
        pid = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
        issue_rewards(session, clock.now(session), draw=die)
    assert (rewards(till.house), len(rows(till.house, codes))) == (["pending"] * 3, before)

    at_once(*(lambda: issue(till.house) for _ in range(2)))

    assert rewards(till.house) == ["issued"] * 3
    assert len(rows(till.house, codes)) == before + 3
    assert_proven(till.house)


def test_s2_128_a_refund_that_comes_with_the_duty_is_before_it_or_after_it(
    till: Till, boss: Caller
) -> None:
    """Whoever has the payment first decides; nothing is given for what is on its way back."""
    code = make_code(till.house, till.seeded, make_program(till.house, till.seeded))
    told, asked_for = (bought(till, code, f"friend{number}@x.example") for number in range(2))
    hold_passes(till.house)
    till.steer(f"payments/{told['session_id']}/refund")
    events = till.new_events()

    at_once(
        lambda: till.deliver(events),
        lambda: refund(boss, asked_for),
        lambda: issue(till.house),
    )

    issue(till.house, till)
    assert set(rewards(till.house)) <= {"issued", "void"}
    assert_proven(till.house)


def test_s2_128_while_all_of_it_is_on_its_way_back_nothing_is_issued(
    till: Till, boss: Caller
) -> None:
    """EC-050: Stripe is away, and says no when it is back; a part takes nothing away."""
    code = make_code(till.house, till.seeded, make_program(till.house, till.seeded))
    part, whole = (bought(till, code, f"friend{number}@x.example") for number in range(2))
    hold_passes(till.house)
    till.sandbox.arm(vendor="stripe", refund_drop_before_create={"next": 9})
    refund(boss, part, amount_minor=8_999)
    refund(boss, whole)
    issue(till.house, till)
    assert rewards(till.house) == ["issued", "void"]

    change(till.house, "UPDATE payments SET payment_intent_id = 'pi_of_nobody'")
    till.sandbox.control("DELETE", "/stripe/faults")
    till.pass_time(minutes=2)
    assert rewards(till.house) == ["issued", "pending"]
    issue(till.house, till)
    assert rewards(till.house) == ["issued", "issued"]
    assert_proven(till.house)

    # What had been asked for, be it a moment before, is told.
    before = "state = 'asked', created_at = created_at - interval '1 hour'"
    change(till.house, f"UPDATE refunds SET {before}")
    assert list(violations(till.house)) == ["referral-rewards"]
