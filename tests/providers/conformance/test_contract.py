"""The contract of `ports.Provider`, each statement once, for every vendor (S4-121, EC-059 to EC-066).

What one vendor does differently is in its own file beside this folder.
"""

import threading
import time

import pytest

from pipelines.pricing.rules import expected_cost
from pipelines.providers.ports import (
    Absent,
    Accepted,
    AuthFailed,
    Balance,
    CataloguePage,
    Conflicting,
    NotSent,
    Refused,
    Succeeded,
    Throttled,
    Unknown,
)
from pipelines.providers.vendors import VENDORS
from tests.providers.conformance.bench import HASTY, Bench, nobody_there
from tests.providers.conformance.benches import HABITS

#: A vendor's own sandbox may take its time over an order that is under way.
POLL_SECONDS_MAX = 60
#: A catalogue may be long.
PAGES_MAX = 10_000


def poll_until_settled(provider, request, vendor_order_id):
    """Ask again until the order is no longer open; each question is a call of its own."""
    give_up_at = time.monotonic() + POLL_SECONDS_MAX
    while isinstance(outcome := provider.poll(request, vendor_order_id), Accepted):
        assert time.monotonic() < give_up_at
    return outcome


def bought(bench: Bench, provider, request) -> Succeeded:
    """An order that has its card, at once or after a while."""
    outcome = provider.place_order(request)
    if isinstance(outcome, Accepted):
        outcome = poll_until_settled(provider, request, outcome.vendor_order_id)
    assert bench.is_right(outcome), outcome
    return outcome


def test_every_vendor_has_a_bench():
    assert set(HABITS) == set(VENDORS)


def test_an_order_brings_a_card_of_the_exact_value_at_its_exact_cost(bench: Bench):
    request = bench.order()

    outcome = bought(bench, bench.adapter(), request)

    assert repr(outcome.card) == "IssuedCard([removed])"
    if bench.steering:
        assert bench.steering.references() == [request.reference]


def test_what_was_bought_is_found_again_by_our_reference(bench: Bench):
    """32 hex characters are a reference that every vendor takes, keeps and finds."""
    provider, request = bench.adapter(), bench.order()
    outcome = bought(bench, provider, request)

    found = provider.look_up(request)

    assert bench.is_right(found)
    assert found.vendor_order_id == outcome.vendor_order_id
    assert bench.is_right(provider.poll(request, outcome.vendor_order_id))


def test_a_reference_that_nobody_used_is_absent(bench: Bench):
    assert bench.adapter().look_up(bench.order()) == Absent()


def test_a_repeated_reference_never_buys_a_second_card(bench: Bench):
    provider, request = bench.adapter(), bench.order()
    first = bought(bench, provider, request)

    again = provider.place_order(request)

    if provider.resend_is_safe or isinstance(again, Succeeded):
        assert bench.is_right(again)
        assert again.vendor_order_id == first.vendor_order_id
    else:
        assert isinstance(again, Unknown)
    assert provider.look_up(request).vendor_order_id == first.vendor_order_id
    if bench.steering:
        assert bench.steering.references() == [request.reference]


def test_where_a_resend_is_safe_two_overlapping_sends_buy_one_card(bench: Bench):
    provider, request, outcomes = bench.adapter(), bench.order(), []
    if not provider.resend_is_safe:
        pytest.skip("a resend is not safe here: recovery never overlaps two sends")
    bench.steered().switch(latency_seconds=0.3)
    threads = [
        threading.Thread(target=lambda: outcomes.append(provider.place_order(request)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert any(bench.is_right(outcome) for outcome in outcomes)
    assert all(bench.is_right(one) or isinstance(one, Unknown) for one in outcomes)
    assert bench.steered().references() == [request.reference]


def test_an_order_of_another_reference_is_not_taken_for_ours(bench: Bench):
    provider, request = bench.adapter(), bench.order()
    theirs = bought(bench, provider, bench.order())

    assert provider.poll(request, theirs.vendor_order_id) == Conflicting("other_reference")
    assert provider.look_up(request) == Absent()


@pytest.mark.parametrize("fault", ["drop_after_create", "error_500_after", "garbage"])
def test_ec059_an_order_that_ran_unseen_is_unknown_and_then_found(bench: Bench, fault: str):
    """EC-059: the vendor sells the card and its answer is lost, broken or a 500."""
    steering, provider, request = bench.steered(), bench.adapter(), bench.order()
    steering.arm(**{fault: {"next": 1}})

    assert isinstance(provider.place_order(request), Unknown)

    assert bench.is_right(provider.look_up(request))
    assert steering.references() == [request.reference]
    assert steering.orders_asked() == 1


@pytest.mark.parametrize(
    "fault", ["drop_before_create", "error_500_before", "unavailable_503", "html_502"]
)
def test_ec059_an_order_that_never_ran_is_unknown_and_then_absent(bench: Bench, fault: str):
    """EC-059: nothing tells it from one that ran, until the vendor is asked."""
    steering, provider, request = bench.steered(), bench.adapter(), bench.order()
    steering.arm(**{fault: {"next": 1}})

    assert isinstance(provider.place_order(request), Unknown)

    assert provider.look_up(request) == Absent()
    assert steering.references() == []
    assert bench.is_right(provider.place_order(request))


def test_an_order_that_answers_after_its_deadline_is_unknown_and_then_found(bench: Bench):
    steering, request = bench.steered(), bench.order()
    steering.arm(slow={"next": 1, "seconds": 30, "created_first": True})

    assert bench.adapter(limits=HASTY).place_order(request) == Unknown("deadline")

    assert bench.is_right(bench.adapter().look_up(request))
    assert steering.references() == [request.reference]


def test_ec062_an_accepted_order_is_polled_until_its_card_comes(bench: Bench):
    """EC-062"""
    steering, provider, request = bench.steered(), bench.adapter(), bench.order()
    steering.arm(processing={"next": 1, "seconds": 0.4})

    outcome = provider.place_order(request)

    assert outcome == provider.look_up(request) == Accepted(outcome.vendor_order_id)
    assert bench.is_right(poll_until_settled(provider, request, outcome.vendor_order_id))
    assert bench.is_right(provider.look_up(request))


def test_an_accepted_order_may_end_without_a_card(bench: Bench):
    steering, provider = bench.steered(), bench.adapter()
    for end in bench.habits.dead_ends:
        request = bench.order()
        steering.arm(processing={"next": 1, "seconds": 0.2, **end})

        outcome = provider.place_order(request)

        settled = poll_until_settled(provider, request, outcome.vendor_order_id)
        assert isinstance(settled, Refused)
        assert settled == provider.look_up(request)
        assert settled.code == "refunded"


def test_what_is_not_sold_is_refused(bench: Bench):
    product = bench.adapter().place_order(bench.order(product=bench.habits.unsold))
    amount = bench.adapter().place_order(
        bench.order(face_value_minor=bench.habits.bad_amount_minor)
    )

    assert isinstance(product, Refused)
    assert isinstance(amount, Refused)
    assert product.code == "product_unavailable"
    assert amount.code == bench.habits.bad_amount_code
    if bench.steering:
        assert bench.steering.references() == []


def test_ec060_what_is_out_of_stock_is_refused(bench: Bench):
    """EC-060: the refusal is of this card only, so the next source may be asked."""
    steering = bench.steered()
    steering.arm(out_of_stock={"next": 1})

    outcome = bench.adapter().place_order(bench.order())

    assert isinstance(outcome, Refused)
    assert outcome.code == "out_of_stock"
    assert steering.references() == []


def test_ec060_an_empty_account_buys_nothing(bench: Bench):
    """EC-060: refused, or queued by a vendor that waits for our money: then the card is owed."""
    steering, provider, request = bench.steered(), bench.adapter(), bench.order()
    steering.set_balance("1.00")

    outcome = provider.place_order(request)

    if bench.habits.queues_without_funds:
        assert isinstance(outcome, Accepted)
        assert isinstance(provider.look_up(request), Accepted)
    else:
        assert isinstance(outcome, Refused)
        assert outcome.code == "vendor_insufficient_balance"
        assert steering.references() == []
    assert provider.balance() == Balance(100, bench.habits.funds.currency)


def test_ec061_throttling_proves_that_nothing_ran_and_says_how_long(bench: Bench):
    """EC-061: with and without a Retry-After."""
    steering, provider = bench.steered(), bench.adapter()
    steering.arm(throttled_429={"next": 1, "retry_after": 7})
    told = provider.place_order(bench.order())
    steering.arm(throttled_429={"next": 1})
    untold = provider.place_order(bench.order())

    assert told == Throttled(7.0)
    assert untold == Throttled(bench.habits.throttle_default_seconds)
    assert steering.references() == []


def test_ec061_a_throttled_question_proves_nothing_and_says_how_long(bench: Bench):
    """EC-061: asked by our reference and by the vendor's, with and without a Retry-After."""
    steering, provider = bench.steered(), bench.adapter()
    request = bench.order()
    bought = provider.place_order(request)
    assert isinstance(bought, Succeeded)
    steering.arm(lookup_429={"next": 2, "retry_after": 7})
    told = (provider.look_up(request), provider.poll(request, bought.vendor_order_id))
    steering.arm(lookup_429={"next": 1})
    untold = provider.look_up(request)

    seconds = bench.habits.throttle_default_seconds
    assert told == (Unknown("question_throttled", 7.0),) * 2
    assert untold == Unknown("question_throttled", seconds)


def test_wrong_credentials_order_nothing(bench: Bench):
    stranger = bench.stranger()

    assert isinstance(stranger.place_order(bench.order()), AuthFailed)
    assert stranger.look_up(bench.order()) == Unknown("question_not_authorised")
    assert stranger.balance() == Unknown("question_not_authorised")


def test_credentials_refused_in_the_middle_of_a_run_prove_that_nothing_ran(bench: Bench):
    steering = bench.steered()
    steering.arm(auth_401={"next": 2})

    assert isinstance(bench.adapter().place_order(bench.order()), AuthFailed)
    assert steering.references() == []


def test_a_vendor_that_is_down_has_been_sent_nothing(bench: Bench):
    provider = bench.adapter(base_url=nobody_there())

    assert provider.place_order(bench.order()) == NotSent("ConnectionRefusedError")
    assert provider.look_up(bench.order()) == Unknown("question_not_sent")
    assert provider.balance() == Unknown("question_not_sent")


def test_nothing_is_sent_after_the_moment_it_had_to_be_sent_by(bench: Bench):
    provider, request = bench.adapter(), bench.order(send_by=time.monotonic() - 0.001)

    assert isinstance(provider.place_order(request), NotSent)
    assert provider.look_up(request) == Absent()


def test_a_look_up_that_fails_proves_nothing(bench: Bench):
    steering, provider, request = bench.steered(), bench.adapter(), bench.order()
    outcome = bought(bench, provider, request)
    steering.arm(lookup_500={"always": True})

    assert isinstance(provider.look_up(request), Unknown)
    assert isinstance(provider.poll(request, outcome.vendor_order_id), Unknown)


def test_ec066_a_card_of_another_value_is_reported_as_it_is(bench: Bench):
    """EC-066: the caller compares and sets it aside; the adapter hides nothing."""
    steering, provider, request = bench.steered(), bench.adapter(), bench.order()
    steering.arm(wrong_value={"next": 1} | dict(bench.habits.wrong_value))

    outcome = provider.place_order(request)

    assert isinstance(outcome, Succeeded)
    assert outcome.face_value_minor != request.face_value_minor
    assert steering.references() == [request.reference]


def test_the_balance_is_told(bench: Bench):
    balance = bench.adapter().balance()

    assert isinstance(balance, Balance)
    assert not bench.steering or balance == bench.habits.funds


def test_the_catalogue_lists_what_is_sold_and_never_tells_a_cost_too_low(bench: Bench):
    """Page by page, one call each; what it says of a card's cost is what the card costs."""
    provider, goods = bench.adapter(), bench.habits.goods
    listed, place = {}, None
    for _ in range(PAGES_MAX):
        page = provider.catalogue(place)
        assert isinstance(page, CataloguePage)
        listed |= {product.id: product for product in page.products}
        if (place := page.next_page) is None:
            break

    found = listed[goods.product]
    cost = expected_cost(goods.face_value_minor, found.cost_bp, found.cost_flat_minor)
    least, most = found.least_minor or 0, found.most_minor or goods.face_value_minor
    assert place is None
    assert bench.habits.unsold not in listed
    assert found.currency == goods.currency
    assert goods.face_value_minor in (found.fixed_minor or range(least, most + 1))
    assert cost is None or goods.cost is None or (cost, found.cost_currency) == goods.cost
