"""What a person decides of a purchase at the console, against the sandbox's Stripe (EC-049..EC-051)."""

import re
from typing import Any

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.checkout.test_payment_events import paid_event
from tests.discounting import counted, make_discount
from tests.driving import change, rows
from tests.paying import Till
from tests.proof import assert_proven
from tests.web.console.conftest import HIDDEN, SAME_ORIGIN, Visitor, visitor_of


@pytest.fixture
def bob(app: Flask, vendor_house: House, till: Till) -> Visitor:
    """A client's administrator."""
    return visitor_of(app, vendor_house, Role.CLIENT_ADMIN, till.seeded)


def paid(till: Till) -> dict[str, Any]:
    """A purchase that is confirmed."""
    purchase = till.checkout(till.reserve())
    till.move(purchase, "pay")
    till.deliver()
    return purchase


def odd(till: Till, **told: Any) -> dict[str, Any]:
    """A purchase of which another amount was paid."""
    purchase = till.checkout(till.reserve())
    till.deliver([paid_event(till, purchase, amount_total=8_999) | told])
    return purchase


def own_page(purchase: dict[str, Any]) -> str:
    return f"/console/purchases/{purchase['purchase_id']}"


def agreed(visitor: Visitor, path: str, asked: str, reason: str) -> tuple[Any, Any]:
    """The form that a page showed, sent twice."""
    fields = dict(HIDDEN.findall(asked.rpartition("<form")[2])) | {"reason": reason}
    sent = [visitor.client.post(path, data=fields, headers=SAME_ORIGIN) for _ in range(2)]
    return sent[0], sent[1]


@pytest.mark.parametrize(
    ("restores", "then"),
    [
        ("nothing", "Stays used: the code gives nothing back"),
        ("slot", "Comes back to the code: somebody else can have it"),
        ("customer", "Comes back, and the customer may use the code again"),
    ],
)
def test_ec051_a_refund_of_all_says_what_becomes_of_the_slot_and_is_made_once(
    till: Till, bob: Visitor, restores: str, then: str
) -> None:
    code_id = make_discount(till.house, till.seeded)
    change(till.house, "UPDATE discount_codes SET restore_on_refund = :r", r=restores)
    purchase = paid(till)
    path = f"{own_page(purchase)}/refund"

    asked = bob.send(path, amount="").text
    before = rows(till.house, "SELECT 1 FROM refunds")
    first, again = agreed(bob, path, asked, "came back")
    till.deliver()

    assert "Pay back $90.00?" in asked
    assert (then in asked, before) == (True, [])
    assert (
        first.headers["Location"]
        == again.headers["Location"]
        == f"{own_page(purchase)}?done=refunded"
    )
    assert till.purchase(purchase["purchase_id"])["refunded_minor"] == 9_000
    assert counted(till.house, code_id) == (1 if restores == "nothing" else 0, {"refunded": 1})
    shown = bob.get(first.headers["Location"]).text
    assert "The refund is asked for." in shown
    assert "Asked for here" in shown
    assert "Nothing is left to pay back." in shown
    assert till.sandbox.control("GET", "/stripe/summary")["refunded"] == 9_000
    (told,) = rows(
        till.house, "SELECT detail FROM audit_entries WHERE action = 'purchase.refund_asked'"
    )
    assert told.detail["reason"] == "came back"
    assert_proven(till.house)


def test_ec050_a_part_is_typed_in_major_units_and_leaves_the_use_as_it_is(
    till: Till, bob: Visitor
) -> None:
    make_discount(till.house, till.seeded)
    purchase = paid(till)
    path = f"{own_page(purchase)}/refund"

    asked = bob.send(path, amount="40.5").text
    agreed(bob, path, asked, "a part")
    on_its_way = bob.get(path).text
    till.deliver()

    assert "Stays used: only when all is paid back the code is asked" in asked
    assert "$49.50 of it can be paid back" in on_its_way
    assert till.purchase(purchase["purchase_id"])["refunded_minor"] == 4_050


@pytest.mark.parametrize(
    ("amount", "told"),
    [
        ("90.01", "At most $90.00 can be paid back."),
        ("0", "Or give an amount above zero."),
        ("much", ""),
        ("1.234", ""),
    ],
)
def test_ec050_what_cannot_be_paid_back_is_said_beside_what_was_typed(
    till: Till, bob: Visitor, amount: str, told: str
) -> None:
    make_discount(till.house, till.seeded)
    path = f"{own_page(paid(till))}/refund"

    answer = bob.send(path, amount=amount)

    assert answer.status_code == 422
    assert f'value="{amount}"' in answer.text
    assert 'id="amount-wrong"' in answer.text
    assert told in answer.text


def test_ec050_who_was_slower_learns_what_is_left_and_pays_nothing_twice(
    till: Till, bob: Visitor
) -> None:
    make_discount(till.house, till.seeded)
    purchase = paid(till)
    path = f"{own_page(purchase)}/refund"
    pages = [bob.send(path, amount="60").text for _ in range(2)]

    first, _ = agreed(bob, path, pages[0], "one")
    second, _ = agreed(bob, path, pages[1], "two")
    till.deliver()

    assert (first.status_code, second.status_code) == (303, 409)
    assert "What is left is $30.00." in second.text
    assert till.purchase(purchase["purchase_id"])["refunded_minor"] == 6_000


def test_ec033_units_that_came_back_are_paid_at_what_was_paid_for_them_and_once(
    till: Till, bob: Visitor
) -> None:
    """Their share of the discount and their tax are in it; the page says so before it is done."""
    make_discount(till.house, till.seeded)
    bought = [
        {
            "sku": "SHIRT",
            "name": "A <shirt>",
            "quantity": 3,
            "unit_minor": 1_000,
            "tax_bp": 1_900,
        },
        {"sku": "SHOE", "quantity": 1, "unit_minor": 5_000},
    ]
    reserved = till.reserve(cart={"id": "cart-41", "currency": "USD", "lines": bought})
    purchase = till.checkout(reserved)
    till.move(purchase, "pay")
    till.deliver()
    path = f"{own_page(purchase)}/returned"

    form = bob.get(path).text
    wrong = [bob.send(path, **typed) for typed in ({}, {"units_0": "4"}, {"units_1": "-1"})]
    asked = bob.send(path, units_0="2", units_1="").text
    before = rows(till.house, "SELECT 1 FROM refunds")
    first, again = agreed(bob, path, asked, "two shirts")
    till.deliver()
    paid_back = till.purchase(purchase["purchase_id"])["refunded_minor"]
    too_many = bob.send(path, units_0="2", units_1="1")
    change(till.house, "UPDATE payments SET refunded_minor = refunded_minor + 1_000")
    too_much = bob.send(path, units_0="1", units_1="1")
    shown = bob.get(own_page(purchase)).text

    assert "3 bought, $32.13 was paid for all of them" in form
    assert "A &lt;shirt&gt;" in form
    assert [answer.status_code for answer in wrong] == [422] * 3
    assert "Say of a line how many units came back." in wrong[0].text
    assert 'id="units_0-wrong">' in wrong[1].text
    assert 'id="units_1-wrong">' in wrong[2].text
    assert ("Pay back $21.42?" in asked, "0 of 3 back" in asked, before) == (True, True, [])
    assert first.headers["Location"] == again.headers["Location"]
    assert paid_back == 2_142
    assert len(rows(till.house, "SELECT 1 FROM refunds")) == 1
    assert too_much.status_code == 422
    assert "At most $45.71 can be paid back." in too_much.text
    assert too_many.status_code == 422
    assert "1 of 3 units is left, 2 came back already." in too_many.text
    assert "was paid for all of them, 2 came back already" in too_many.text
    assert "2 came back</span>" in shown
    assert 'Asked for here<span class="sub">two shirts</span>' in shown


def test_a_refund_needs_a_reason(till: Till, bob: Visitor) -> None:
    make_discount(till.house, till.seeded)
    path = f"{own_page(paid(till))}/refund"

    asked = bob.send(path, amount="").text
    silent, _ = agreed(bob, path, asked, " ")

    assert silent.status_code == 422
    assert rows(till.house, "SELECT 1 FROM refunds") == []


def test_ec049_a_person_takes_what_was_paid_for_a_reason_and_once(till: Till, bob: Visitor) -> None:
    code_id = make_discount(till.house, till.seeded)
    purchase = odd(till)
    path = f"{own_page(purchase)}/accept"

    asked = bob.get(path).text
    first, again = agreed(bob, path, asked, "a cent")

    assert "$89.99 of $90.00" in asked
    assert "Counts as used" in asked
    assert (
        first.headers["Location"]
        == again.headers["Location"]
        == f"{own_page(purchase)}?done=accepted"
    )
    assert "What was paid is taken" in bob.get(first.headers["Location"]).text
    assert counted(till.house, code_id) == (1, {"confirmed": 1})
    assert bob.get(path).headers["Location"] == own_page(purchase)
    (told,) = rows(
        till.house, "SELECT detail FROM audit_entries WHERE action = 'purchase.accepted'"
    )
    assert told.detail["reason"] == "a cent"


def test_ec049_of_another_amount_all_goes_back_or_nothing(till: Till, bob: Visitor) -> None:
    make_discount(till.house, till.seeded)
    till.sandbox.switch(vendor="stripe", event_amount_off=1)
    purchase = till.checkout(till.reserve())
    till.move(purchase, "pay")
    till.deliver()
    path = f"{own_page(purchase)}/refund"

    part = bob.send(path, amount="1")
    asked = bob.send(path, amount="").text
    first, _ = agreed(bob, path, asked, "not ours")
    shown = bob.get(own_page(purchase)).text

    assert (part.status_code, "goes back" in part.text) == (422, True)
    assert "The purchase is never confirmed then." in asked
    assert "Stays as it is" in asked
    assert first.status_code == 303
    assert re.search(r"Somebody here decided not to take it\.", shown)
    assert "Take what was paid…" not in shown


def test_ec049_what_is_not_taken_gives_its_slot_back_as_the_page_said(
    till: Till, bob: Visitor
) -> None:
    code_id = make_discount(till.house, till.seeded)
    path = f"{own_page(odd(till))}/refund"

    asked = bob.send(path, amount="").text
    agreed(bob, path, asked, "not ours")

    assert "Given back at once" in asked
    assert counted(till.house, code_id) == (0, {"released": 1})
