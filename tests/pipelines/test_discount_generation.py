"""Discount codes are generated exactly, whatever happens to their job (EC-028, S2-131)."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from models import clock
from models.database import scoped_transaction
from models.discounts import CodeState
from models.scope import client
from pipelines.books.patterns import PLAIN_ALPHABET, Pattern
from pipelines.books.refusals import PatternSpaceTooSmall
from pipelines.discounts.batches import move_batch
from pipelines.discounts.generate import Generation, accept_generation
from pipelines.discounts.generation_kind import discount_generation_kind
from pipelines.discounts.rules import DiscountKind, DiscountRules
from pipelines.jobs.control import cancel_job, pause_job, resume_job
from pipelines.jobs.kinds import DISCOUNT_GENERATION
from pipelines.wiring import House
from tests.discounting import lay_discounts, make_discount
from tests.driving import change, drain, hasten, rows, view
from tests.moves import control, one_step, retry
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed
from tests.statements import statements

WIDE = Pattern("SUN", 12, PLAIN_ALPHABET, "26")
TEN_OFF = DiscountRules(DiscountKind.PERCENT, percent_bp=1000)


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


def generate(house: House, seeded: Seeded, pattern: Pattern, count: int) -> UUID:
    asked = Generation(seeded.client_id, pattern, count, TEN_OFF)
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        return accept_generation(
            session, asked, actor_id=ACTOR, key=None, limits=house.limits
        ).job_id


def drawing(house: House, draw: Callable[[int], bytes]) -> House:
    """The house, whose generation draws by `draw`."""
    kind = discount_generation_kind(draw=draw)
    return replace(house, job_kinds={**house.job_kinds, DISCOUNT_GENERATION: kind})


def counted(house: House, job_id: UUID) -> dict[str, int]:
    counts = view(house, job_id)["counts"]
    return {name: count for name, count in counts.items() if count and name != "total"}


def made(house: House, job_id: UUID) -> list[Any]:
    return rows(
        house,
        "SELECT c.code, c.state, r.percent_bp FROM discount_codes c "
        "JOIN discount_rules r ON r.code_id = c.id WHERE c.batch_id = :job",
        job=job_id,
    )


def test_ec028_collisions_and_a_dead_worker_leave_exactly_as_many(
    house: House, seeded: Seeded
) -> None:
    """EC-028: one draw in fifty is taken, some before it began, and the work dies in the middle."""
    pattern = Pattern("", 4, "0123456789ABCDEFGHJK", "")
    for n in range(40):
        make_discount(house, seeded, f"{n:04}")
    job_id = lay_discounts(house, seeded, pattern, 3_000, size=500)
    calls = 0

    def die_now_and_then(count: int) -> bytes:
        nonlocal calls
        calls += 1
        if calls == 6:
            raise RuntimeError("the worker is gone")
        return os.urandom(count)

    frail = drawing(house, die_now_and_then)
    drain(frail)
    hasten(house)
    drain(frail)

    assert counted(house, job_id) == {"succeeded": 3_000}
    codes = made(house, job_id)
    assert (len(codes), len({row.code for row in codes}), calls > 7) == (3_000, 3_000, True)
    assert {(row.state, row.percent_bp) for row in codes} == {("active", 1000)}
    assert_proven(house)


def test_ec028_a_pattern_without_room_is_refused(house: House, seeded: Seeded) -> None:
    """EC-028: 9,000 of `##-##`."""
    with pytest.raises(PatternSpaceTooSmall) as refused:
        generate(house, seeded, Pattern("", 4, "0123456789", ""), 9_000)

    needed = {"space": 10_000, "needed": 9_000_000, "random_length": 7}
    assert refused.value.extra == needed
    assert rows(house, "SELECT 1 FROM jobs") == rows(house, "SELECT 1 FROM tasks") == []


def test_ec028_two_requests_find_room_together(house: House, seeded: Seeded) -> None:
    """What is being made counts as if it were there; another client's codes are no matter."""
    digits = Pattern("", 7, "0123456789", "")
    other = seed(house, vendor=False)
    generate(house, seeded, digits, 6_000)

    with pytest.raises(PatternSpaceTooSmall):
        generate(house, seeded, digits, 6_000)
    drain(house)
    with pytest.raises(PatternSpaceTooSmall):
        generate(house, seeded, digits, 6_000)

    assert len(rows(house, "SELECT 1 FROM discount_batches")) == 1
    generate(house, seeded, replace(digits, prefix="A"), 6_000)
    generate(house, other, digits, 6_000)


def test_ec028_codes_are_counted_where_room_is_short_and_no_further(
    house: House, seeded: Seeded
) -> None:
    """EC-028: a client may have millions of a prefix; the look at them is under its lock."""
    digits = Pattern("", 4, "0123456789", "")
    for n in range(30):
        make_discount(house, seeded, f"{n:04}")

    with statements(house) as sent:
        generate(house, seeded, WIDE, 100_000)
        generate(house, seeded, Pattern("SUN", 8, PLAIN_ALPHABET, ""), 100_000)
    with pytest.raises(PatternSpaceTooSmall) as refused, statements(house) as short:
        generate(house, seeded, digits, 1)

    assert not [one for one in sent if "translate(substr" in one]
    assert len([one for one in short if "translate(substr" in one]) == 1
    # Eleven leave no room for one more: the others were not looked at.
    assert refused.value.extra["needed"] == 12_000


def test_codes_that_find_no_place_fail_and_are_tried_again(house: House, seeded: Seeded) -> None:
    """EC-028: a bounded number of draws, so that no chunk is without an end."""
    full = Pattern("AAA", 1, "23456789AB", "")
    job_id = lay_discounts(house, seeded, full, 12, size=6)

    drain(house)
    ended = view(house, job_id)

    assert (ended["state"], counted(house, job_id)) == (
        *("partially_succeeded", {"succeeded": 6, "failed": 6}),
    )
    assert ended["error"]["code"] == "pattern_space_too_small"
    assert len(made(house, job_id)) == 6

    change(house, "UPDATE discount_codes SET code = 'GONE-' || left(id::text, 8) || code")
    assert retry(house, seeded, job_id) == 6
    drain(house)
    assert counted(house, job_id) == {"succeeded": 12}
    assert_proven(house)


def test_a_cancelled_job_keeps_what_was_made_and_makes_no_more(
    house: House, seeded: Seeded
) -> None:
    job_id = lay_discounts(house, seeded, WIDE, 1_000, size=100)
    for _ in range(3):
        one_step(house)

    control(house, seeded, pause_job, job_id)
    drain(house)
    paused = counted(house, job_id)
    control(house, seeded, resume_job, job_id)
    control(house, seeded, cancel_job, job_id)
    drain(house)

    assert paused == {"succeeded": 300, "pending": 700}
    assert counted(house, job_id) == {"succeeded": 300, "cancelled": 700}
    assert len(made(house, job_id)) == 300
    assert_proven(house)


@pytest.mark.parametrize(
    ("state", "ends", "codes"),
    [
        (CodeState.PAUSED, {"succeeded": 200}, {("paused", 200)}),
        (CodeState.ARCHIVED, {"succeeded": 100, "cancelled": 100}, {("archived", 100)}),
    ],
)
def test_s2_131_a_batch_that_is_moved_while_it_is_made_is_moved_whole(
    house: House,
    seeded: Seeded,
    state: CodeState,
    ends: dict[str, int],
    codes: set[tuple[str, int]],
) -> None:
    """Codes that come later begin as the batch was told; one that was put away gets no more."""
    job_id = lay_discounts(house, seeded, WIDE, 200, size=100)
    one_step(house)
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        move_batch(session, job_id, state, actor_id=ACTOR, now=clock.now(session))
    drain(house)

    assert counted(house, job_id) == ends
    states = [row.state for row in made(house, job_id)]
    assert {(one, states.count(one)) for one in states} == codes
    assert_proven(house)


def test_a_chunk_that_always_fails_is_given_up_and_can_be_retried(
    house: House, seeded: Seeded
) -> None:
    """EC-121"""
    job_id = lay_discounts(house, seeded, WIDE, 200, size=100)

    def fail(_count: int) -> bytes:
        raise RuntimeError("no entropy")

    broken = drawing(house, fail)
    for _ in range(3):
        hasten(house)
        drain(broken)
    failed = view(house, job_id)
    retry(house, seeded, job_id)
    drain(house)

    assert (failed["state"], failed["error"]["code"]) == ("failed", "internal_error")
    assert failed["counts"]["failed"] == 200
    assert (counted(house, job_id), view(house, job_id)["error"]) == ({"succeeded": 200}, None)
    assert len(made(house, job_id)) == 200


def test_a_suspended_client_gets_no_more_codes(house: House, seeded: Seeded) -> None:
    job_id = lay_discounts(house, seeded, WIDE, 200, size=100)
    one_step(house)
    change(house, "UPDATE clients SET suspended_at = now()")

    drain(house)

    ended = view(house, job_id)
    assert (ended["state"], ended["error"]["code"]) == ("partially_succeeded", "account_suspended")
    assert counted(house, job_id) == {"succeeded": 100, "cancelled": 100}
