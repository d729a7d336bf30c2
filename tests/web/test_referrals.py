"""Referral programs over HTTP and from a terminal: what they say, and who sees them (S2-128)."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.checkout.test_checkout_races import at_once
from tests.discounting import asked, said
from tests.driving import rows
from tests.referring import ANN, BODY, make_code, make_program
from tests.security.tenants import key_caller
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, signed_in
from tests.web.shells import Shell, a_shell

PROGRAMS = "/referrals/programs"


@pytest.fixture
def shop(app: Flask, house: House, seeded: Seeded) -> Caller:
    return key_caller(app, house, seeded.client_id)


@pytest.fixture
def shell(app: Flask, manager: Caller) -> Iterator[Shell]:
    with a_shell(app, manager) as made:
        yield made


def test_s2_128_a_program_is_made_changed_paused_and_put_away(
    manager: Caller, shop: Caller, house: House
) -> None:
    made = manager.post(PROGRAMS, BODY, Idempotency_Key="k1")
    again = manager.post(PROGRAMS, BODY, Idempotency_Key="k1")
    path = f"{PROGRAMS}/{made.json['id']}"
    assert (made.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
    assert made.json["id"] == again.json["id"]
    assert made.json["friend"]["percent_bp"] == 1_000
    assert (made.json["hold_days"], made.json["pattern"]["random_length"]) == (14, 10)
    first = shop.post(f"{path}/codes", {"customer": {"email": ANN}}).json

    friend = {"kind": "fixed", "amount_minor": 700, "currency": "EUR"}
    unread = manager.call("PATCH", path, {"friend": friend})
    changed = manager.call("PATCH", path, {"friend": friend}, If_Match='"1"')
    stale = manager.call("PATCH", path, {"hold_days": 1}, If_Match='"1"')
    second = shop.post(f"{path}/codes", {"customer": {"email": "bob@x.example"}}).json

    assert (unread.status_code, changed.status_code, stale.status_code) == (428, 200, 412)
    kinds = {
        manager.get(f"/discounts/{one['discount_id']}").json["kind"]: one for one in (first, second)
    }
    assert kinds == {"percent": first, "fixed": second}

    paused = manager.post(f"{path}/pause")
    assert (paused.json["state"], paused.json["counts"]["codes"]) == ("paused", 2)
    used = asked(first["code"], who="friend@x.example")
    assert said(shop.post("/discounts/apply", used)) == (409, "code_inactive")
    new = shop.post(f"{path}/codes", {"customer": {"email": "new@x.example"}})
    kept = shop.post(f"{path}/codes", {"customer": {"email": ANN}})
    assert (said(new), kept.status_code) == ((409, "program_inactive"), 200)
    assert (first["standing"], kept.json["standing"]) == ("active", "paused")
    manager.post(f"{path}/resume")
    assert shop.post("/discounts/apply", used).status_code == 201

    manager.call("DELETE", f"/discounts/{second['discount_id']}")
    again = shop.post(f"{path}/codes", {"customer": {"email": "bob@x.example"}}).json
    assert (again["code"], again["standing"]) == (second["code"], "archived")
    gone = manager.call("DELETE", path)
    assert gone.json["state"] == "archived"
    assert shop.post(f"{path}/codes", {"customer": {"email": ANN}}).json["standing"] == "draining"
    assert said(manager.post(f"{path}/resume")) == (409, "program_archived")
    assert said(manager.call("PATCH", path, {"hold_days": 1}, If_Match="*")) == (
        409,
        "program_archived",
    )
    assert [one["id"] for one in manager.get(f"{PROGRAMS}?state=archived").json["data"]] == [
        made.json["id"]
    ]
    assert manager.get(f"{PROGRAMS}?state=active").json["data"] == []
    told = rows(house, "SELECT action FROM audit_entries WHERE object_kind = 'referral_program'")
    assert {row.action.partition(".")[2] for row in told} == {
        *("created", "changed", "paused", "resumed", "archived", "code_given")
    }


def test_s2_128_a_change_of_a_pattern_leaves_what_it_does_not_name(manager: Caller) -> None:
    body = BODY | {"pattern": {"prefix": "REF", "random_length": 16}}
    path = f"{PROGRAMS}/{manager.post(PROGRAMS, body).json['id']}"

    one = manager.call("PATCH", path, {"pattern": {"prefix": "NEW"}}, If_Match="*")
    two = manager.call("PATCH", path, {"pattern": {"random_length": 12}}, If_Match="*")

    assert one.json["pattern"] == {"prefix": "NEW", "random_length": 16}
    assert two.json["pattern"] == {"prefix": "NEW", "random_length": 12}


def test_ec018_a_cart_has_the_code_of_one_referrer(
    manager: Caller, shop: Caller, house: House, seeded: Seeded
) -> None:
    """S2-128: whoever brought the friend, it was one of them; whatever groups their codes are in."""
    program_id = make_program(house, seeded)
    codes = [make_code(house, seeded, program_id, f"r{number}@x.example") for number in range(2)]
    for number, row in enumerate(rows(house, "SELECT code_id FROM referral_codes")):
        changed = manager.call(
            "PATCH", f"/discounts/{row.code_id}", {"stacking_group": f"g{number}"}, If_Match="*"
        )
        assert changed.status_code == 200, changed.json
    body = asked(codes[0])

    first, second = (shop.post("/discounts/apply", body | {"code": code}) for code in codes)

    assert first.status_code == 201
    assert said(second) == (409, "stacking_not_allowed")
    assert (second.json["reason"], second.json["discount_code"]) == ("two_referrals", codes[0])


@pytest.mark.parametrize(
    ("wrong", "pointer", "code"),
    [
        ({"friend": {"kind": "percent"}}, "/friend/percent_bp", "required"),
        ({"reward": {"kind": "fixed", "amount_minor": 5}}, "/reward/currency", "required"),
        ({"reward": {"kind": "gift"}}, "/reward/kind", "choice"),
        ({"pattern": {"prefix": "a b"}}, "/pattern/prefix", "code_charset"),
        ({"pattern": {"random_length": 7}}, "/pattern/random_length", "out_of_range"),
        ({"hold_days": 91}, "/hold_days", "out_of_range"),
        ({"max_rewards_per_referrer": 0}, "/max_rewards_per_referrer", "out_of_range"),
    ],
)
def test_s2_128_what_a_program_cannot_say_is_told_at_its_field(
    manager: Caller, house: House, wrong: dict[str, Any], pointer: str, code: str
) -> None:
    refused = manager.post(PROGRAMS, BODY | wrong)

    assert refused.status_code == 422
    (error,) = refused.json["errors"]
    assert (error["pointer"], error["code"]) == (pointer, code)
    assert rows(house, "SELECT FROM referral_programs") == []


def test_s2_128_many_who_ask_at_once_for_one_customer_s_code_get_one(
    app: Flask, house: House, seeded: Seeded, shop: Caller
) -> None:
    path = f"{PROGRAMS}/{make_program(house, seeded)}/codes"
    names = ({"email": ANN}, {"external_id": "e1", "email": ANN}, {"email": "a.nn@gmail.com"})

    def ask(customer: dict[str, str]) -> Any:
        return Caller(app.test_client(), shop.headers).post(path, {"customer": customer})

    answers = at_once(*(lambda one=one: ask(one) for one in names * 2))

    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [201]
    assert len({answer.json["code"] for answer in answers}) == 1
    # What was learned of them by the way: their other name has the same code.
    assert ask({"external_id": "e1"}).json["code"] == answers[0].json["code"]


def test_s2_128_another_client_s_program_is_nobody_s(
    app: Flask, house: House, seeded: Seeded, shop: Caller
) -> None:
    other = seed(house, vendor=False)
    program_id = make_program(house, other)
    make_code(house, other, program_id)
    mine = signed_in(app, house, Role.CAMPAIGN_MANAGER, seeded)
    agency = signed_in(app, house, Role.AGENCY_ADMIN, seeded)

    for caller in (mine, agency):
        for path in (f"{PROGRAMS}/{program_id}", f"{PROGRAMS}/{program_id}/rewards"):
            assert said(caller.get(path)) == (404, "not_found")
        assert caller.get(PROGRAMS).json["data"] == []
    body = {"customer": {"email": ANN}}
    assert said(shop.post(f"{PROGRAMS}/{program_id}/codes", body)) == (404, "not_found")
    assert said(shop.get(f"{PROGRAMS}/{program_id}")) == (403, "insufficient_scope")


def test_s2_128_a_program_from_a_terminal(shell: Shell) -> None:
    given = ("--friend-percent", "12.5", "--reward-minor", "500", "--currency", "USD")
    identity = shell.run("referrals", "create", "Bring a friend", *given).output.strip()
    code = shell.run("referrals", "code", identity, ANN).output.strip()

    shown = shell.run("referrals", "show", identity).output.splitlines()
    listed = shell.run("referrals", "list").output

    assert code == shell.run("referrals", "code", identity, ANN).output.strip()
    assert shown == [
        "Bring a friend is active.",
        "A friend gets 12.5 %, the referrer $5.00.",
        "1 codes, 0 purchases.",
        "Rewards: 0 pending, 0 issued, 0 void, 0 over_limit.",
    ]
    assert identity in listed
    assert shell.run("referrals", "rewards", identity).output == "No rewards.\n"
    assert "--friend-percent" in shell.run("referrals", "create", "Nothing").output
