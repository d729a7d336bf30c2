"""When a friend's purchase earns a reward, and which of those that are due are given (S2-128)."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from models.discounts import UsageState
from models.payments import PaymentState
from models.risks import Decision
from pipelines.discounts.rules import DiscountKind, DiscountRules
from pipelines.errors import ValidationFailed
from pipelines.referrals.rules import (
    Due,
    ProgramRules,
    Standing,
    check_program,
    is_earned,
    part_from,
    part_json,
    within_limit,
)

KEPT = Standing(
    payment=PaymentState.SUCCEEDED,
    kept_minor=1,
    is_disputed=False,
    is_refused=False,
    usage=UsageState.CONFIRMED,
    is_own_usage=True,
    decision=None,
)
ANN, BOB = UUID(int=1), UUID(int=2)


@pytest.mark.parametrize(
    ("other", "earns"),
    [
        ({}, True),
        ({"decision": Decision.APPROVED}, True),
        ({"decision": Decision.REJECTED}, False),
        ({"kept_minor": 0}, False),
        ({"is_disputed": True}, False),
        ({"is_refused": True}, False),
        ({"is_own_usage": False}, False),
        *(({"payment": state}, state == "succeeded") for state in PaymentState),
        *(({"usage": state}, state == "confirmed") for state in UsageState),
    ],
)
def test_s2_128_only_what_was_paid_and_kept_earns(other: dict[str, Any], earns: bool) -> None:
    assert is_earned(replace(KEPT, **other)) is earns


@pytest.mark.parametrize(
    ("most", "had", "given"), [(None, 9, 3), (4, 1, 3), (3, 1, 2), (2, 2, 0), (1, 2, 0)]
)
def test_s2_128_the_oldest_are_given_first_up_to_the_limit_of_each(
    most: int | None, had: int, given: int
) -> None:
    hers = [Due(UUID(int=10 + place), ANN, most) for place in range(3)]
    his = Due(UUID(int=20), BOB, 1)

    chosen = within_limit([hers[0], his, *hers[1:]], {ANN: had})

    assert [one for one in chosen if one != his.reward_id] == [
        one.reward_id for one in hers[:given]
    ]
    assert his.reward_id in chosen


def test_s2_128_parts_are_kept_as_they_were_said_and_told_wrong_by_their_place() -> None:
    part = DiscountRules(
        DiscountKind.PERCENT, percent_bp=5, currency="USD", min_subtotal_minor=9, products=("A",)
    )
    assert part_from(part_json(part)) == part
    wrong = ProgramRules("X", part, DiscountRules(DiscountKind.FIXED), prefix="-")

    with pytest.raises(ValidationFailed) as refused:
        check_program(wrong)

    assert [error.pointer for error in refused.value.errors] == [
        "/reward/amount_minor",
        "/pattern/prefix",
    ]
