"""A person decides on flagged uses: what goes on, what goes back, and who is told (S2-109, S2-136, S2-138)."""

from uuid import UUID

import pytest

from tests.discounting import asked, counted, make_discount, said
from tests.driving import rows
from tests.paying import Till, alerts_of
from tests.proof import assert_proven
from tests.suspecting import WHY, applied, flag, pay, suspect
from tests.web.conftest import Caller


def signals(till: Till) -> list[bool]:
    """Of what was told of purchases that wait: whether it was over, in order."""
    found = rows(till.house, "SELECT is_over FROM alert_signals ORDER BY id")
    return [row.is_over for row in found]


def test_s2109_what_is_paid_and_flagged_keeps_money_and_slot_until_it_is_approved(
    till: Till, settler: Caller
) -> None:
    """However long it takes, and however often Stripe tells of it."""
    code_id = make_discount(till.house, till.seeded, max_uses=1)
    waits = pay(till, suspect(till))
    assert (waits["state"], waits["review"]) == ("paid", "risk_high")
    till.pass_time(days=30)
    till.deliver(till.events())

    assert counted(till.house, code_id) == (1, {"reserved": 1})
    assert said(till.shop.post("/discounts/apply", asked())) == (409, "slot_exhausted")
    assert alerts_of(till.house) == ["risky_purchase_waits"]
    assert [one["id"] for one in till.shop.get("/purchases?state=paid").json["data"]] == [
        waits["id"]
    ]

    done = settler.post(f"/usages/{waits['reservation_id']}/approve", WHY)
    again = settler.post(f"/usages/{waits['reservation_id']}/approve", WHY)

    assert (done.status_code, again.status_code) == (200, 200)
    assert done.json["decision"] == "approved"
    after = till.purchase(waits["id"])
    assert (after["state"], after["review"]) == ("confirmed", None)
    assert counted(till.house, code_id) == (1, {"confirmed": 1})
    assert signals(till) == [False, True]
    assert settler.get("/discounts/flagged").json["data"] == []
    assert [one["id"] for one in settler.get("/discounts/flagged?decided=true").json["data"]] == [
        waits["reservation_id"]
    ]
    (told,) = rows(
        till.house, "SELECT detail FROM audit_entries WHERE action = 'reservation.approved'"
    )
    assert told.detail == WHY
    assert_proven(till.house)


def test_s2138_what_is_rejected_is_paid_back_and_its_slot_is_free(
    till: Till, settler: Caller
) -> None:
    code_id = make_discount(till.house, till.seeded, max_uses=1)
    waits = pay(till, suspect(till))

    path = f"/usages/{waits['reservation_id']}"
    assert settler.post(f"{path}/reject", WHY).status_code == 200
    assert settler.post(f"{path}/reject", WHY).status_code == 200
    till.deliver()

    after = till.purchase(waits["id"])
    assert (after["state"], after["refused"], after["review"]) == ("refunded", "rejected", None)
    assert [(one["amount_minor"], one["note"]) for one in after["refunds"]] == [
        (9_000, WHY["reason"])
    ]
    assert counted(till.house, code_id) == (0, {"released": 1})
    assert said(settler.post(f"{path}/approve", WHY)) == (409, "already_decided")
    assert signals(till) == [False, True]
    assert_proven(till.house)


def test_s2138_what_is_rejected_before_it_is_paid_ends_its_page(
    till: Till, settler: Caller
) -> None:
    code_id = make_discount(till.house, till.seeded)
    reservation = suspect(till)
    purchase = till.checkout(reservation)

    assert settler.post(f"/usages/{reservation['id']}/reject", WHY).status_code == 200

    assert till.purchase(purchase["purchase_id"])["state"] == "expired"
    assert counted(till.house, code_id) == (0, {"released": 1})
    (usage,) = rows(till.house, "SELECT release_reason FROM discount_usages")
    assert usage.release_reason == "manager"


def test_s2138_what_is_paid_though_it_was_rejected_is_paid_back(
    till: Till, settler: Caller
) -> None:
    """It is paid at Stripe at the moment at which somebody rejects it, and nobody told us yet."""
    code_id = make_discount(till.house, till.seeded)
    reservation = suspect(till)
    purchase = till.checkout(reservation)
    till.move(purchase, "pay")

    assert settler.post(f"/usages/{reservation['id']}/reject", WHY).status_code == 200
    till.deliver()
    till.deliver()

    after = till.purchase(purchase["purchase_id"])
    assert (after["state"], after["refused"]) == ("refunded", "rejected")
    assert counted(till.house, code_id) == (0, {"released": 1})
    assert_proven(till.house)


def test_s2109_an_approved_use_that_is_not_paid_goes_on(till: Till, settler: Caller) -> None:
    make_discount(till.house, till.seeded)
    reservation = suspect(till)
    assert settler.post(f"/usages/{reservation['id']}/approve", WHY).status_code == 200
    assert pay(till, reservation)["state"] == "confirmed"


def test_s2109_a_late_payment_of_a_flagged_use_waits_without_a_slot(
    till: Till, settler: Caller
) -> None:
    code_id = make_discount(till.house, till.seeded)
    reservation = suspect(till)
    purchase = till.checkout(reservation)
    till.pass_time(minutes=16)
    assert settler.get("/discounts/flagged").json["data"] == []
    till.move(purchase, "pay-late")
    till.deliver()

    assert till.purchase(purchase["purchase_id"])["review"] == "risk_high"
    assert counted(till.house, code_id) == (0, {"released": 1})
    assert len(settler.get("/discounts/flagged").json["data"]) == 1
    assert settler.post(f"/usages/{reservation['id']}/approve", WHY).status_code == 200
    after = till.purchase(purchase["purchase_id"])
    assert (after["state"], after["is_late"]) == ("confirmed", True)
    assert counted(till.house, code_id) == (1, {"confirmed": 1})
    assert_proven(till.house)


def test_s2109_money_that_went_back_at_stripe_asks_nobody_any_more(
    till: Till, settler: Caller
) -> None:
    code_id = make_discount(till.house, till.seeded)
    waits = pay(till, suspect(till))
    intent = rows(till.house, "SELECT payment_intent_id FROM payments")[0].payment_intent_id
    till.steer(f"payments/{intent}/refund")
    till.deliver()

    after = till.purchase(waits["id"])
    assert (after["state"], after["review"]) == ("refunded", None)
    assert counted(till.house, code_id) == (0, {"released": 1})
    assert settler.get("/discounts/flagged").json["data"] == []
    assert_proven(till.house)


def test_s2138_what_was_confirmed_before_it_was_flagged_is_refunded(
    till: Till, settler: Caller
) -> None:
    make_discount(till.house, till.seeded)
    reservation = applied(till, "ann@x.example")
    paid = pay(till, reservation)
    flag(till.house, reservation)

    assert settler.post(f"/usages/{reservation['id']}/reject", WHY).status_code == 200
    till.deliver()

    assert till.purchase(paid["id"])["state"] == "refunded"
    assert_proven(till.house)


@pytest.mark.parametrize("is_held", [True, False], ids=["held", "confirmed"])
def test_s2138_all_that_no_refund_has_asked_for_yet_goes_back_with_a_rejection(
    till: Till, settler: Caller, *, is_held: bool
) -> None:
    """EC-050: a part is on its way back, and Stripe has not answered."""
    make_discount(till.house, till.seeded)
    reservation = suspect(till) if is_held else till.reserve()
    purchase = pay(till, reservation)
    flag(till.house, reservation)
    part = settler.post(
        f"/purchases/{purchase['id']}/refunds",
        WHY | {"amount_minor": 4_000},
        Idempotency_Key="part",
    )

    assert part.status_code == 201
    assert settler.post(f"/usages/{reservation['id']}/reject", WHY).status_code == 200
    till.deliver()

    after = till.purchase(purchase["id"])
    assert (after["state"], after["refunded_minor"]) == ("refunded", 9_000)
    assert [one["amount_minor"] for one in after["refunds"]] == [4_000, 5_000]
    assert_proven(till.house)


def test_ec014_what_is_flagged_once_it_is_confirmed_is_told_of_until_it_is_decided_or_paid_back(
    till: Till, settler: Caller
) -> None:
    """S2-109: the card is told only after the page was, and is one that paid for another's use."""
    make_discount(till.house, till.seeded)
    pay(till, applied(till, "ann@x.example"), "card-1")
    late = []
    for who in ("bob@y.example", "eve@z.example"):
        purchase = till.checkout(applied(till, who))
        till.move(purchase, "pay", fingerprint="card-1")
        done = [one for one in till.new_events() if one["type"] == "checkout.session.completed"]
        till.deliver(done)
        late.append(till.purchase(purchase["purchase_id"]))
    quiet = alerts_of(till.house)
    till.deliver()
    told, waiting = signals(till), settler.get("/discounts/flagged").json["data"]

    settler.post(f"/usages/{late[0]['reservation_id']}/approve", WHY)
    approved = signals(till)
    (intent,) = rows(
        till.house,
        "SELECT payment_intent_id AS id FROM payments WHERE id = :id",
        id=UUID(late[1]["id"]),
    )
    till.steer(f"payments/{intent.id}/refund")
    till.deliver()

    assert [(one["state"], one["review"]) for one in late] == [("confirmed", None)] * 2
    assert (quiet, alerts_of(till.house)) == ([], ["risky_purchase_waits"])
    assert [one["state"] for one in waiting] == ["CONFIRMED"] * 2
    assert set(told) == {False}
    assert approved == [*told, True]
    assert signals(till) == [*told, True, True]
    assert settler.get("/discounts/flagged").json["data"] == []
    assert_proven(till.house)


def test_s2136_an_operator_releases_any_slot_and_what_is_paid_stays(
    till: Till, settler: Caller
) -> None:
    code_id = make_discount(till.house, till.seeded)
    reservation = till.reserve()
    purchase = till.checkout(reservation)
    done = settler.post(f"/usages/{reservation['id']}/release", WHY)
    again = settler.post(f"/usages/{reservation['id']}/release", WHY)
    assert done.json["reservation"]["release_reason"] == "manager"
    assert again.status_code == 200
    assert till.purchase(purchase["purchase_id"])["state"] == "expired"
    assert counted(till.house, code_id) == (0, {"released": 1})

    waits = pay(till, suspect(till))
    kept = settler.post(f"/usages/{waits['reservation_id']}/release", WHY)
    assert said(kept) == (409, "reservation_ended")
    assert kept.json["detail"] == "The reservation is paid already."
    assert said(settler.post(f"/usages/{reservation['id']}/approve", WHY)) == (409, "not_flagged")
