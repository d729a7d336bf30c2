"""A shopper's address on Stripe's page, which passes through us (S2-038, decision 0045)."""

import pytest

from tests.discounting import cart, make_discount, said
from tests.driving import rows
from tests.paying import Till
from tests.proof import assert_proven


@pytest.mark.parametrize(
    ("again", "pages"), [("ann@x.example", 1), ("bob@x.example", 2), (None, 2)]
)
def test_ec034_the_shoppers_address_stands_on_the_page_and_is_kept_nowhere(
    till: Till, capsys: pytest.CaptureFixture[str], again: str | None, pages: int
) -> None:
    """Decision 0045: a lost answer is found by the same address, and another makes another page."""
    make_discount(till.house, till.seeded)
    known = {"email": "ann@x.example", "external_id": "41"}
    reservation = till.reserve(customer=known)
    till.sandbox.arm(vendor="stripe", drop_after_create={"next": 3})

    lost = till.begin(reservation, customer=known)
    who = {"external_id": "41"} | ({"email": again} if again else {})
    purchase = till.checkout(reservation, customer=who)
    till.move(purchase, "pay")
    till.deliver()

    assert said(lost) == (503, "payment_provider_unavailable")
    made = till.sandbox.control("GET", "/stripe/sessions")["sessions"]
    assert len(made) == pages
    (page,) = [one for one in made if one["id"] == purchase["session_id"]]
    assert page["customer_email"] == again
    assert till.purchase(purchase["purchase_id"])["state"] == "confirmed"
    kept = [rows(till.house, f"SELECT t::text FROM {name} t") for name in ("payments", "purchases")]
    assert "@x.example" not in str(kept)
    assert "@x.example" not in capsys.readouterr().err
    assert_proven(till.house)


def test_an_address_that_stripe_does_not_take_is_left_out(till: Till) -> None:
    purchase = till.checkout(cart=cart(), customer={"email": "j\u00f6rg@x.example"})

    (page,) = till.sandbox.control("GET", "/stripe/sessions")["sessions"]
    assert page["id"] == purchase["session_id"]
    assert page["customer_email"] is None
