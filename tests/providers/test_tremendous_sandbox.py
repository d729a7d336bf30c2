"""What Tremendous does in its own way, over real HTTP; the rest is in `conformance`."""

import threading
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from pipelines.providers.ports import (
    Absent,
    Accepted,
    OrderRequest,
    Refused,
    Succeeded,
    Unknown,
)
from pipelines.providers.transport import VendorTransport
from pipelines.providers.tremendous import TremendousProvider
from tests.vendor import LIMITS

VENDOR = "tremendous"
LINK_CALL = "POST /rewards/{identity}/generate_link"


@pytest.fixture
def provider(sandbox):
    return TremendousProvider(
        VendorTransport(), base_url=f"{sandbox.url}/tremendous", api_key="TEST_key", limits=LIMITS
    )


def order(**changes):
    request = OrderRequest(uuid4().hex, "NILEBOOKSUS1", 2510, "USD", datetime.now(UTC))
    return replace(request, **changes)


def test_a_card_is_its_link_alone(sandbox, provider):
    card = provider.place_order(order()).card

    assert card.card_number.startswith("https://reward.example/payouts/")
    assert (card.pin, card.url) == (None, None)
    assert card.expires_on > datetime.now(UTC).date()
    assert sandbox.calls(LINK_CALL, vendor=VENDOR) == 0


def test_each_currency_keeps_its_own_digits_and_costs_dollars(provider):
    outcome = provider.place_order(
        order(product="NILEBOOKSDE1", face_value_minor=1999, currency="EUR")
    )

    assert (outcome.face_value_minor, outcome.currency) == (1999, "EUR")
    assert (outcome.cost_minor, outcome.cost_currency) == (2169, "USD")


@pytest.mark.parametrize("link_in_replay", [True, False])
def test_a_repeated_order_is_the_same_order_with_a_link_that_works(
    sandbox, provider, link_in_replay
):
    """Whether the 201 carries the link is not documented: both ways the card is in hand."""
    sandbox.switch(vendor=VENDOR, link_in_replay=link_in_replay)
    request = order()
    first = provider.place_order(request)

    again = provider.place_order(request)

    assert again.vendor_order_id == first.vendor_order_id
    assert again.made_anew == (not link_in_replay)
    assert (again.card == first.card) == link_in_replay
    assert sandbox.references(vendor=VENDOR) == [request.reference]


def test_the_same_reference_for_another_order_is_looked_up_and_tells_its_value(sandbox, provider):
    request = order()
    provider.place_order(request)
    other = replace(request, face_value_minor=5000)

    assert provider.place_order(other) == Unknown("reference_used")

    found = provider.look_up(other)
    assert isinstance(found, Succeeded)
    assert found.face_value_minor == 2510
    assert sandbox.references(vendor=VENDOR) == [request.reference]


@pytest.mark.parametrize("overlap_conflicts", [True, False])
def test_two_overlapping_sends_buy_one_card(sandbox, provider, overlap_conflicts):
    """How the second is answered while the first runs is not documented; recovery never does it."""
    sandbox.switch(vendor=VENDOR, latency_seconds=0.3, overlap_conflicts=overlap_conflicts)
    request, outcomes = order(), []
    threads = [
        threading.Thread(target=lambda: outcomes.append(provider.place_order(request)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    bought = [one for one in outcomes if isinstance(one, Succeeded)]
    others = [one for one in outcomes if one not in bought]
    assert len(bought) == (1 if overlap_conflicts else 2)
    assert others == [Unknown("reference_used")] * overlap_conflicts
    assert sandbox.references(vendor=VENDOR) == [request.reference]


@pytest.mark.parametrize("fault", ["link_403", "link_500", "drop_after_link"])
def test_a_bought_order_whose_link_cannot_be_made_now_is_owed(sandbox, provider, fault):
    request = order()
    sandbox.arm(vendor=VENDOR, no_link={"next": 1}, **{fault: {"next": 1}})

    outcome = provider.place_order(request)

    assert outcome == Accepted(outcome.vendor_order_id)
    found = provider.poll(request, outcome.vendor_order_id)
    assert isinstance(found, Succeeded)
    assert found.made_anew


@pytest.mark.parametrize("status", ["PENDING APPROVAL", "PENDING INTERNAL PAYMENT APPROVAL"])
def test_an_order_that_somebody_must_approve_is_owed(sandbox, provider, status):
    sandbox.arm(vendor=VENDOR, processing={"next": 1, "seconds": 3600, "status": status})
    request = order()

    outcome = provider.place_order(request)

    assert outcome == provider.look_up(request) == Accepted(outcome.vendor_order_id)
    assert sandbox.calls(LINK_CALL, vendor=VENDOR) == 0


@pytest.mark.parametrize("plain_errors", [True, False])
@pytest.mark.parametrize("keeps_unpaid_orders", [True, False])
def test_an_empty_account_is_proof_whatever_becomes_of_the_reference(
    sandbox, provider, plain_errors, keeps_unpaid_orders
):
    """Whether a 402 keeps the reference is not documented: nothing is bought either way."""
    switches = {"plain_errors": plain_errors, "keeps_unpaid_orders": keeps_unpaid_orders}
    sandbox.switch(vendor=VENDOR, **switches)
    sandbox.control("PUT", "/tremendous/balance", {"balance": "1.00"})
    request = order()

    assert provider.place_order(request) == Refused("vendor_insufficient_balance", None)

    left = Refused("refunded", "FAILED") if keeps_unpaid_orders else Absent()
    assert provider.look_up(request) == left


def test_an_order_not_listed_yet_is_absent_and_later_found(sandbox, provider):
    request = order()
    provider.place_order(request)
    sandbox.arm(vendor=VENDOR, lookup_empty={"next": 1, "seconds": 3600})

    assert provider.look_up(request) == Absent()
    assert isinstance(provider.look_up(request), Succeeded)


@pytest.mark.parametrize("product", ["nile", "NILE/../X", "", "A" * 21, "\u212aELVIN00"])
def test_what_cannot_be_a_product_is_not_asked_for(sandbox, provider, product):
    assert provider.place_order(order(product=product)) == Refused("product_unavailable", None)
    assert sandbox.calls("POST /orders", vendor=VENDOR) == 0
