"""What Reloadly does in its own way, over real HTTP; the rest is in `conformance`."""

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from pipelines.providers.ports import (
    Accepted,
    Balance,
    Conflicting,
    NotSent,
    OrderRequest,
    Refused,
    Succeeded,
    Unknown,
)


def order(**changes):
    request = OrderRequest(uuid4().hex, "120", 2510, "USD", datetime.now(UTC))
    return replace(request, **changes)


def facts(outcome):
    """What can be said about a success without knowing its random parts."""
    assert isinstance(outcome, Succeeded)
    return outcome.face_value_minor, outcome.currency, outcome.cost_minor, outcome.cost_currency


def test_a_card_has_its_number_pin_and_link(sandbox):
    outcome = sandbox.provider().place_order(order())

    assert outcome.card.card_number.startswith("SBX")
    assert outcome.card.url == f"https://redeem.example/{outcome.card.card_number}"
    assert outcome.card.pin.isdigit()


@pytest.mark.parametrize(
    ("product", "minor", "currency"), [("130", 1999, "EUR"), ("140", 1500, "JPY")]
)
def test_each_currency_keeps_its_own_digits(sandbox, product, minor, currency):
    outcome = sandbox.provider().place_order(
        order(product=product, face_value_minor=minor, currency=currency)
    )

    assert facts(outcome)[:2] == (minor, currency)


@pytest.mark.parametrize("switches", [{"integer_cards": True}, {"object_cards": True}])
def test_cards_of_any_shape_are_read(sandbox, switches):
    sandbox.switch(**switches)
    outcome = sandbox.provider().place_order(order())

    assert facts(outcome) == (2510, "USD", 2372, "USD")
    assert outcome.card.url.endswith(outcome.card.card_number)


def test_a_used_reference_is_looked_up_and_never_taken_for_a_refusal(sandbox):
    provider, request = sandbox.provider(), order()
    first = provider.place_order(request)

    assert provider.place_order(request) == Unknown("reference_used")

    assert provider.look_up(request) == first
    assert sandbox.references() == [request.reference]


def test_two_overlapping_orders_with_one_reference_need_a_person(sandbox):
    sandbox.switch(latency_seconds=0.5)
    provider, request, outcomes = sandbox.provider(), order(), []
    threads = [
        threading.Thread(target=lambda: outcomes.append(provider.place_order(request)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [facts(outcome)[0] for outcome in outcomes] == [2510, 2510]
    assert provider.look_up(request) == Conflicting("several_live_orders")
    assert sandbox.calls("POST /auth/oauth/token") == 1


@pytest.mark.parametrize(
    ("faults", "outcome"),
    [
        ({"out_of_stock": {"next": 1}}, Refused("out_of_stock", None)),
        (
            {"out_of_stock": {"next": 1, "error_code": "PRODUCT_OUT_OF_STOCK"}},
            Refused("out_of_stock", "PRODUCT_OUT_OF_STOCK"),
        ),
        ({"token_500": {"next": 1}}, NotSent("token_http_500")),
    ],
)
def test_proof_that_nothing_ran_is_told_as_such(sandbox, faults, outcome):
    sandbox.arm(**faults)

    assert sandbox.provider().place_order(order()) == outcome
    assert sandbox.references() == []


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"product": "999"}, Refused("product_unavailable", "INVALID_PRODUCT")),
        ({"product": "U123"}, Refused("product_unavailable", None)),
        ({"face_value_minor": 99_999_00}, Refused("invalid_amount", "WRONG_PRODUCT_PRICE")),
        ({"product": "121"}, Refused("invalid_amount", None)),
    ],
)
def test_what_is_not_sold_is_refused(sandbox, changes, outcome):
    assert sandbox.provider().place_order(order(**changes)) == outcome
    assert sandbox.references() == []


@pytest.mark.parametrize(("is_codeless", "code"), [(False, "INSUFFICIENT_BALANCE"), (True, None)])
def test_an_empty_account_is_told_apart(sandbox, is_codeless, code):
    sandbox.switch(codeless_insufficient_balance=is_codeless)
    sandbox.control("PUT", "/reloadly/balance", {"balance": "1.00999"})
    provider = sandbox.provider()

    assert provider.place_order(order()) == Refused("vendor_insufficient_balance", code)
    assert provider.balance() == Balance(100, "USD")


def test_a_refused_token_is_renewed_once_and_the_order_runs_once(sandbox):
    provider, request = sandbox.provider(), order()
    provider.balance()
    sandbox.control("DELETE", "/reloadly/tokens")

    assert facts(provider.place_order(request))[:2] == (2510, "USD")

    assert sandbox.references() == [request.reference]
    assert sandbox.calls("POST /auth/oauth/token") == 2


@pytest.mark.parametrize("fault", ["cards_500", "cards_slow"])
def test_a_bought_order_whose_card_cannot_be_fetched_is_owed(sandbox, fault):
    provider, request = sandbox.provider(), order()
    sandbox.arm(**{fault: {"next": 1}})

    outcome = provider.place_order(request)

    assert outcome == Accepted(outcome.vendor_order_id)
    assert facts(provider.poll(request, outcome.vendor_order_id))[:2] == (2510, "USD")


def test_the_vendor_is_told_nothing_about_the_recipient(sandbox):
    provider, request = sandbox.provider(), order()
    provider.place_order(request)

    answer = provider._call("GET", "/reports/transactions", deadline=time.monotonic() + 2)

    assert b'"recipientEmail": null' in answer.body
    assert b'"recipientPhone": null' in answer.body


def test_threads_that_start_together_share_one_token(sandbox):
    provider, balances, barrier = sandbox.provider(), [], threading.Barrier(8)

    def ask():
        barrier.wait()
        balances.append(provider.balance())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert balances == [Balance(100_000_000_000, "USD")] * 8
    assert sandbox.calls("POST /auth/oauth/token") == 1


def test_a_token_near_its_end_is_renewed_before_it_is_refused(sandbox):
    seconds = [0.0]
    sandbox.switch(token_seconds=3600)
    provider = sandbox.provider(clock=lambda: seconds[0])
    provider.balance()

    seconds[0] = 3539.0
    provider.balance()
    assert sandbox.calls("POST /auth/oauth/token") == 1

    seconds[0] = 3541.0
    provider.balance()
    assert sandbox.calls("POST /auth/oauth/token") == 2
