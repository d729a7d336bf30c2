"""What is known of a payment only grows: any order of events ends in one state (EC-008, EC-048)."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.payments import Paid, PaymentState, RefundState, SessionStatus
from pipelines.payments.facts import (
    Facts,
    Refunds,
    later_refund,
    learned,
    refunded_minor,
    standing_of,
    state_of,
)
from pipelines.payments.news import News

ASKED = Facts(amount_minor=1000, currency="USD")
PAID = News(payment="paid", paid_minor=1000, paid_currency="USD", session_status="complete")
EXPIRED = News(session_status="expired", payment="unpaid")
LATER = News(session_status="complete", payment="processing")
FAILED = News(session_status="complete", payment="failed")
REFUNDED = News(payment="paid", paid_minor=1000, paid_currency="USD", charge_refunded_minor=1000)

news = st.builds(
    News,
    session_status=st.sampled_from([None, *map(str, SessionStatus)]),
    payment=st.sampled_from([None, *map(str, Paid)]),
    paid_minor=st.sampled_from([None, 1000, 1001]),
    paid_currency=st.sampled_from([None, "USD", "EUR"]),
    charge_refunded_minor=st.sampled_from([None, 0, 400, 1000]),
)


def outcome(facts: Facts) -> PaymentState:
    return state_of(facts, refunded_minor=refunded_minor(facts, Refunds()))


def after(*told: News) -> PaymentState:
    facts = ASKED
    for one in told:
        facts = learned(facts, one)
    return outcome(facts)


@given(st.lists(news, max_size=6), st.randoms())
def test_ec048_the_order_in_which_it_is_told_makes_no_difference(told: list[News], random) -> None:
    shuffled = list(told)
    random.shuffle(shuffled)

    assert after(*told) == after(*shuffled) == after(*told, *shuffled)


@pytest.mark.parametrize("told", list(permutations([PAID, EXPIRED, REFUNDED])))
def test_ec048_completed_expired_and_refunded_end_refunded_in_any_order(told) -> None:
    assert after(*told) is PaymentState.REFUNDED


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ([], PaymentState.OPEN),
        ([PAID], PaymentState.SUCCEEDED),
        ([EXPIRED], PaymentState.EXPIRED),
        ([LATER], PaymentState.PROCESSING),
        ([LATER, FAILED], PaymentState.FAILED),
        ([LATER, PAID], PaymentState.SUCCEEDED),
        ([FAILED, PAID], PaymentState.SUCCEEDED),
        ([EXPIRED, PAID], PaymentState.SUCCEEDED),
    ],
)
def test_each_state_follows_from_what_is_known(told: list[News], state: PaymentState) -> None:
    assert after(*told) is state


@pytest.mark.parametrize(("minor", "currency"), [(1001, "USD"), (1000, "EUR"), (None, None)])
def test_ec049_another_amount_confirms_nothing_until_a_person_takes_it(minor, currency) -> None:
    odd = News(payment="paid", paid_minor=minor, paid_currency=currency)
    facts = learned(ASKED, odd)
    taken = Facts(
        **{name: getattr(facts, name) for name in Facts.__slots__} | {"is_accepted": True}
    )

    assert outcome(facts) is PaymentState.MISMATCHED
    assert outcome(taken) is PaymentState.SUCCEEDED


def test_ec050_a_part_that_went_back_is_no_refund_of_all_and_a_failed_one_is_none() -> None:
    part = learned(learned(ASKED, PAID), News(charge_refunded_minor=400))
    whole = learned(part, News(charge_refunded_minor=1000))

    assert refunded_minor(part, Refunds()) == 400
    assert outcome(part) is PaymentState.SUCCEEDED
    assert outcome(whole) is PaymentState.REFUNDED
    assert refunded_minor(whole, Refunds(standing_minor=400, failed_minor=600)) == 400
    assert refunded_minor(whole, Refunds(standing_minor=2000)) == 1000


@given(st.sampled_from(list(RefundState)), st.sampled_from(list(RefundState)))
def test_a_refund_goes_one_way(one: RefundState, other: RefundState) -> None:
    assert later_refund(one, other) == later_refund(other, one)
    assert later_refund(RefundState.FAILED, one) == RefundState.FAILED


def test_a_dispute_that_nobody_knows_is_open() -> None:
    standing = [standing_of(word) for word in ("needs_response", "won", "lost", "of_tomorrow")]

    assert standing == ["open", "over", "lost", "open"]
