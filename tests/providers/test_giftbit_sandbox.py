"""What Giftbit does in its own way, over real HTTP; the rest is in `conformance`."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from pipelines.providers.giftbit import GiftbitProvider
from pipelines.providers.ports import (
    Absent,
    Accepted,
    Balance,
    OrderRequest,
    Refused,
    Succeeded,
    Unknown,
)
from pipelines.providers.transport import VendorTransport
from tests.vendor import LIMITS

VENDOR = "giftbit"
ORDER_CALL = "POST /direct_links"


@pytest.fixture
def provider(sandbox):
    return GiftbitProvider(
        VendorTransport(), base_url=f"{sandbox.url}/giftbit", api_key="key", limits=LIMITS
    )


def order(**changes):
    request = OrderRequest(uuid4().hex, "nilefoodus", 2500, "USD", datetime.now(UTC))
    return replace(request, **changes)


def test_a_card_is_its_link_alone_and_the_same_whenever_it_is_asked_for(sandbox, provider):
    request = order()
    outcome = provider.place_order(request)

    assert outcome.card.card_number.startswith("https://reward.example/getReward/dl-")
    assert (outcome.card.pin, outcome.card.url) == (None, None)
    assert provider.look_up(request) == outcome
    assert provider.poll(request, outcome.vendor_order_id) == outcome
    assert not outcome.made_anew


def test_an_order_without_funds_is_owed_and_sold_once_when_they_come(sandbox, provider):
    """Giftbit's 200 does not mean paid."""
    sandbox.control("PUT", "/giftbit/balance", {"balance": 1})
    request = order()

    outcome = provider.place_order(request)

    owed = Accepted(outcome.vendor_order_id, "awaiting_funds")
    assert outcome == owed
    assert provider.look_up(request) == provider.poll(request, owed.vendor_order_id) == owed
    assert provider.balance() == Balance(100, "USD")
    sandbox.control("PUT", "/giftbit/balance", {"balance": 30})
    assert isinstance(provider.poll(request, owed.vendor_order_id), Succeeded)
    assert provider.balance() == Balance(500, "USD")
    assert sandbox.references(vendor=VENDOR) == [request.reference]


@pytest.mark.parametrize("replay_status", [200, 409, 422])
@pytest.mark.parametrize("is_other", [True, False])
@pytest.mark.parametrize("refuses_other_body", [True, False])
def test_a_repeated_reference_never_buys_again_however_it_is_answered(
    sandbox, provider, replay_status, is_other, refuses_other_body
):
    """Neither the same body's answer nor another one's is documented."""
    switches = {"replay_status": replay_status, "refuses_other_body": refuses_other_body}
    sandbox.switch(vendor=VENDOR, **switches)
    request = order()
    first = provider.place_order(request)
    again = replace(request, face_value_minor=5000) if is_other else request

    outcome = provider.place_order(again)

    is_told = replay_status == 200 and not (is_other and refuses_other_body)
    assert outcome == (first if is_told else Unknown("reference_used"))
    assert provider.look_up(again) == first
    assert sandbox.references(vendor=VENDOR) == [request.reference]


@pytest.mark.parametrize("absent_status", [404, 422])
def test_a_reference_that_nobody_has_is_absent_however_that_is_said(
    sandbox, provider, absent_status
):
    sandbox.switch(vendor=VENDOR, absent_status=absent_status)

    assert provider.look_up(order()) == Absent()
    assert provider.poll(order(), "0" * 32) == Unknown("order_gone")


def test_where_price_and_fees_are_not_told_what_was_asked_is_believed(sandbox, provider):
    sandbox.switch(vendor=VENDOR, bare_campaigns=True)
    request = order()

    outcome = provider.place_order(request)

    assert (outcome.face_value_minor, outcome.currency) == (2500, "USD")
    assert (outcome.cost_minor, outcome.cost_currency) == (None, None)
    assert provider.look_up(request) == outcome


def test_a_brand_of_another_currency_says_so(provider):
    outcome = provider.place_order(order(product="nilefoodca"))

    assert (outcome.face_value_minor, outcome.currency) == (2500, "CAD")


@pytest.mark.parametrize("fault", ["links_500", "links_not_ready"])
def test_an_order_whose_link_cannot_be_read_now_is_owed(sandbox, provider, fault):
    request = order()
    sandbox.arm(vendor=VENDOR, no_link={"next": 1}, **{fault: {"next": 1}})

    outcome = provider.place_order(request)

    assert outcome == provider.look_up(request) == Accepted(outcome.vendor_order_id)
    assert isinstance(provider.poll(request, outcome.vendor_order_id), Succeeded)


@pytest.mark.parametrize(
    "changes", [{"currency": "JPY"}, {"currency": "KWD"}, {"product": "a/b"}, {"product": ""}]
)
def test_what_giftbit_cannot_sell_is_not_asked_for(sandbox, provider, changes):
    """Its amounts are cents, and other currencies have none or more."""
    assert provider.place_order(order(**changes)) == Refused("product_unavailable", None)
    assert sandbox.calls(ORDER_CALL, vendor=VENDOR) == 0
