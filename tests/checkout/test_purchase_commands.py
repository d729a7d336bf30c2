"""`largesse purchases`: what the API does, from a terminal (S1-132, EC-033, EC-050)."""

import json

from flask import Flask

from models.people import Role
from tests.checkout.test_console_settle import paid
from tests.discounting import make_discount
from tests.driving import rows
from tests.paying import Till
from tests.web.conftest import signed_in
from tests.web.shells import a_shell


def test_s1_132_a_purchase_is_listed_shown_and_paid_back_once_for_each_key(
    app: Flask, till: Till
) -> None:
    code_id = make_discount(till.house, till.seeded)
    bob = signed_in(app, till.house, Role.CLIENT_ADMIN, till.seeded)
    with a_shell(app, bob) as shell:
        none = shell.run("purchases", "list", "--discount", str(code_id))
        purchase = paid(till)
        own = purchase["purchase_id"]

        listed = shell.run("purchases", "list", "--state", "confirmed", "--discount", str(code_id))
        calm = shell.run("purchases", "list", "--disputed")
        part = ("purchases", "refund", own, "--amount-minor", "4000", "--reason", "late")
        first = [shell.run(*part, "--key", "one") for _ in range(2)]
        too_much = shell.run("purchases", "refund", own, "--amount-minor", "9001", "--reason", "x")
        unsaid = shell.run("purchases", "refund", own)
        till.deliver()
        rest = shell.run("purchases", "refund", own, "--reason", "all of it", "--json")
        till.deliver()
        shown = shell.run("purchases", "show", own)

    assert (none.exit_code, none.output) == (0, "No purchases.\n")
    assert listed.output.splitlines()[1].split() == [
        *(own, purchase["cart_id"], "$90.00", "$90.00", "$0.00", "confirmed")
    ]
    assert calm.output == "No purchases.\n"
    assert [one.output for one in first] == ["$40.00 of $90.00 goes back to the customer.\n"] * 2
    assert (too_much.exit_code, unsaid.exit_code) == (4, 2)
    assert [one["amount_minor"] for one in json.loads(rest.output)["refunds"]] == [4_000, 5_000]
    assert shown.output.splitlines() == [
        f"The purchase of cart {purchase['cart_id']} is refunded.",
        "Asked for $90.00, paid $90.00, paid back $90.00.",
        "  line 0: 1 of SKU-0",
        "refund of $40.00: succeeded (late)",
        "refund of $50.00: succeeded (all of it)",
    ]


def test_ec033_units_that_came_back_are_named_by_the_place_of_their_line(
    app: Flask, till: Till
) -> None:
    make_discount(till.house, till.seeded)
    own = paid(till)["purchase_id"]
    bob = signed_in(app, till.house, Role.CLIENT_ADMIN, till.seeded)
    with a_shell(app, bob) as shell:
        wrong = [
            shell.run("purchases", "returned", own, "--reason", "x", *unit)
            for unit in ((), ("--unit", "one"), ("--unit", "0:2"), ("--unit", "7:1"))
        ]
        nothing = rows(till.house, "SELECT 1 FROM refunds")
        done = shell.run("purchases", "returned", own, "--unit", "0:1", "--reason", "torn")
        again = shell.run("purchases", "returned", own, "--unit", "0:1", "--reason", "torn")
        shown = shell.run("purchases", "show", own).output

    assert [one.exit_code for one in wrong] == [2, 2, 4, 4]
    assert "Of line 0 there are 1 units" in wrong[2].output
    assert nothing == []
    assert (done.exit_code, done.output) == (0, "$90.00 of $90.00 goes back to the customer.\n")
    assert (again.exit_code, "0 of 1 units are left" in again.output) == (4, True)
    assert "line 0: 1 of SKU-0, 1 came back\n" in shown
    assert "refund of $90.00: asked (torn)\n" in shown
