"""Uses of a code are judged, and one that looks like a deception waits for a person (EC-014, S2-109)."""

from tests.discounting import asked, cart, counted, make_discount, said
from tests.driving import rows
from tests.paying import Till
from tests.proof import assert_proven
from tests.suspecting import applied, applied_below, pay, reasons, risk
from tests.web.conftest import Caller

OFFICE = {"shopper_address": "203.0.113.7"}


def test_ec014_two_persons_on_one_ip_are_both_served(till: Till) -> None:
    code_id = make_discount(till.house, till.seeded)
    for who in ("ann@x.example", "bob@y.example"):
        reservation = applied(till, who, **OFFICE, device="kiosk")
        assert pay(till, reservation)["state"] == "confirmed"
        assert risk(till.house, reservation).flagged_at is None
    assert counted(till.house, code_id) == (2, {"confirmed": 2})
    assert_proven(till.house)


def test_ec014_a_crowd_on_one_ip_and_device_is_noticed_and_not_flagged(till: Till) -> None:
    make_discount(till.house, till.seeded, percent_bp=6_000)
    for number in range(9):
        last = applied_below(till, f"p{number}@x{number}.example", "203.0.113.7", "kiosk")
    assert reasons(till.house, last) == {
        "network_shared": 25,
        "device_shared": 30,
        "first_purchase_high_discount": 10,
    }
    assert risk(till.house, last).flagged_at is None
    kept = risk(till.house, last)
    assert b"203.0.113" not in kept.network_key
    assert b"kiosk" not in kept.device_key


def test_ec014_what_a_cart_says_of_its_shopper_later_is_kept_too(till: Till) -> None:
    """Its first request had neither address nor device; the next customers are compared with both."""
    make_discount(till.house, till.seeded)
    body = asked(who="ann@x.example")
    kept = []
    for told in ({}, OFFICE | {"device": "phone"}, {"device": "tablet"}):
        reservation = till.shop.post("/discounts/apply", body | told).json["reservation"]
        kept.append(risk(till.house, reservation))
    none, whole, later = ((one.device_key, one.network_key) for one in kept)
    assert none == (None, None)
    assert None not in whole
    assert later == whole

    bob = applied(till, "bob@y.example", device="phone")
    assert reasons(till.house, bob) == {"device_shared": 15}


def test_ec014_an_alias_on_known_devices_is_flagged_and_not_refused(till: Till) -> None:
    make_discount(till.house, till.seeded)
    applied(till, "ann.lee@corp.example", device="phone")
    for number in range(2):
        applied(till, f"p{number}@x.example", device="phone")

    flagged = applied(till, "annlee+1@corp.example", device="phone")

    assert flagged["state"] == "RESERVED"
    assert reasons(till.house, flagged) == {"email_alias": 50, "device_shared": 30}
    (told,) = rows(
        till.house, "SELECT detail FROM audit_entries WHERE action = 'reservation.flagged'"
    )
    assert told.detail == {"score": 80, "reasons": ["device_shared", "email_alias"]}


def test_s2049_one_customer_with_many_codes_and_carts_is_noticed(till: Till) -> None:
    """S2-049: what one customer does within a day, in one cart after another."""
    for number in range(8):
        make_discount(till.house, till.seeded, f"CODE{number}")
        last = applied_below(till, "ann@x.example", code=f"CODE{number}")
        till.shop.call("DELETE", f"/reservations/{last['id']}")
    assert reasons(till.house, last) == {"many_codes": 30, "many_carts": 10, "velocity": 15}


def test_ec014_a_card_that_paid_for_another_s_use_is_flagged_and_waits(
    till: Till, settler: Caller
) -> None:
    code_id = make_discount(till.house, till.seeded)
    assert pay(till, applied(till, "ann@x.example"), "card-1")["state"] == "confirmed"

    waits = pay(till, applied(till, "bob@y.example"), "card-1")

    assert (waits["state"], waits["review"]) == ("paid", "risk_high")
    (row,) = settler.get("/discounts/flagged").json["data"]
    assert [one["reason"] for one in row["reasons"]] == ["card_of_another"]
    assert row["reasons"][0]["words"].startswith(
        "The card that paid has paid for a use of the code"
    )
    assert (row["id"], row["score"]) == (waits["reservation_id"], 70)
    assert counted(till.house, code_id)[0] == 2
    assert_proven(till.house)


def test_ec014_whoever_comes_by_a_name_that_has_the_card_is_refused(till: Till) -> None:
    """Bob paid with Ann's card once, for another code: by his name he is Ann from then on."""
    make_discount(till.house, till.seeded)
    make_discount(till.house, till.seeded, "OTHER")
    pay(till, applied(till, "ann@x.example"), "card-1")
    pay(till, applied(till, "bob@y.example", "OTHER"), "card-1")

    again = till.shop.post("/discounts/apply", asked(who="bob@y.example", cart=cart()))
    looked = till.shop.get(
        "/discounts/validate?code=SAVE10&subtotal_minor=100&currency=USD&customer=bob@y.example"
    )

    assert said(again) == (409, "already_used")
    assert looked.json["reason"] == "already_used"
    assert_proven(till.house)


def test_ec014_the_same_person_may_use_the_same_card_twice(till: Till) -> None:
    make_discount(till.house, till.seeded, max_uses_per_customer=2)
    for _ in range(2):
        reservation = applied(till, "ann@x.example")
        assert pay(till, reservation, "card-1")["state"] == "confirmed"
        assert risk(till.house, reservation).flagged_at is None
    assert_proven(till.house)
