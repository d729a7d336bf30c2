"""How recovery asks after an unclear order: by id, by the same reference again, or by look-up (EC-059)."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from models.cards import OrderState
from pipelines.provisioning.orders import OrderInHand
from pipelines.provisioning.questions import SAFE_SENDS_MAX, Question, next_question

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def order(state: OrderState, *, sends: int = 1, vendor_order_id: str | None = None) -> OrderInHand:
    return OrderInHand(
        id=uuid4(),
        agency_id=uuid4(),
        client_id=uuid4(),
        job_id=uuid4(),
        position=1,
        pool_id=None,
        brand_id=uuid4(),
        vendor="tango",
        product="U1",
        face_value_minor=2500,
        currency="USD",
        expected_cost_minor=None,
        state=state,
        vendor_order_id=vendor_order_id,
        code=None,
        sends=sends,
        lookups=0,
        sent_at=NOW,
        review_since=None,
        created_at=NOW,
        priority=0,
    )


UNKNOWN = order(OrderState.UNKNOWN)


@pytest.mark.parametrize(
    ("given", "resend_is_safe", "may_buy", "asked"),
    [
        (UNKNOWN, True, True, Question.RESEND),
        (UNKNOWN, False, True, Question.LOOK_UP),
        (UNKNOWN, True, False, Question.LOOK_UP),
        (order(OrderState.UNKNOWN, sends=SAFE_SENDS_MAX - 1), True, True, Question.RESEND),
        (order(OrderState.UNKNOWN, sends=SAFE_SENDS_MAX), True, True, Question.LOOK_UP),
        (order(OrderState.ACCEPTED, vendor_order_id="RA1"), True, True, Question.POLL),
        (order(OrderState.ACCEPTED), True, True, Question.LOOK_UP),
    ],
)
def test_ec059_each_vendor_is_asked_in_its_documented_way(
    given: OrderInHand, resend_is_safe: bool, may_buy: bool, asked: Question
) -> None:
    """EC-059: nothing is repeated where that could buy twice, or where nothing shall be bought."""
    assert next_question(given, resend_is_safe=resend_is_safe, may_buy=may_buy) is asked
