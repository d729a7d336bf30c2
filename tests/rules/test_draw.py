"""The draw: who gets which coupon follows from the seed alone (mission, idea 13; EC-093; docs/draw.md)."""

import math
from collections import Counter
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.distribution.draw import (
    Mode,
    RemainderPolicy,
    below,
    commitment_of,
    draw_members,
    draw_remainder,
    shares,
    shuffled,
)
from pipelines.distribution.plan import (
    DistributionOptions,
    Plan,
    Standing,
    changes_since,
    make_plan,
    plan_hash,
)
from pipelines.distribution.refusals import EmptyPool, TooFewForEqual

SEEDS = st.text(min_size=1, max_size=20)
CAPACITIES = st.lists(st.integers(-1, 6), min_size=1, max_size=30)
#: Of chi-square with so many degrees of freedom: beyond this once in a million tries.
CHI_SQUARE_MAX = {9: 52.0, 23: 73.0}


def options(count: int, mode: Mode = Mode.RANDOM, **more: object) -> DistributionOptions:
    return DistributionOptions(UUID(int=1), UUID(int=2), mode, count, **more)  # type: ignore[arg-type]


def chi_square(counts: Counter[object], cells: int) -> float:
    expected = counts.total() / cells
    seen = sum((count - expected) ** 2 / expected for count in counts.values())
    return seen + (cells - len(counts)) * expected


def test_a_draw_is_what_the_page_says_it_is() -> None:
    """Drawn once by hand: the digests are those of `printf 'seed:member:1' | sha256sum` and so on."""
    assert commitment_of("seed") == (
        "19b25856e1c150ca834cffc8b59b23adbd0ec0389e58eb22b3b64768098d002b"
    )
    assert [below("seed", f"member:{n}", 10) for n in (1, 2, 3)] == [
        int(digest, 16) % 10
        for digest in (
            "930ae8e9382764b7da8d225575a4b77e703d6594bd70f347254655ad4adb701e",
            "9b9f4b6f3a6b42f470b03827bd57e9f7d44598096c0fa71b51f0acdff9f26af0",
            "d00ddb612a4fecb27fe1a7d9c8394cf978476e2524c7044903f22a83608dba4f",
        )
    ]


def test_each_member_is_as_likely_as_the_others() -> None:
    """Over two thousand seeds, ten draws each."""
    counts = Counter(
        member for seed in range(2_000) for member in draw_members(str(seed), [100] * 10, 10)
    )

    assert chi_square(counts, 10) < CHI_SQUARE_MAX[9]


def test_with_one_each_every_set_of_winners_is_as_likely_as_the_others() -> None:
    """The first of four winners among four members: all 24 orders over many seeds."""
    orders = Counter(tuple(draw_members(str(seed), [1] * 4, 4)) for seed in range(4_800))

    assert len(orders) == math.factorial(4)
    assert chi_square(orders, 24) < CHI_SQUARE_MAX[23]


def test_each_coupon_is_as_likely_to_be_the_first_as_the_others() -> None:
    coupons = [UUID(int=number) for number in range(10)]

    firsts = Counter(shuffled(str(seed), coupons)[0] for seed in range(5_000))

    assert chi_square(firsts, 10) < CHI_SQUARE_MAX[9]


def test_the_remainder_goes_to_each_member_as_often() -> None:
    chosen = Counter(place for seed in range(5_000) for place in draw_remainder(str(seed), 10, 3))

    assert chi_square(chosen, 10) < CHI_SQUARE_MAX[9]


@given(seed=SEEDS, capacities=CAPACITIES, count=st.integers(1, 80))
def test_nobody_is_drawn_beyond_what_they_can_take_while_others_can(
    seed: str, capacities: list[int], count: int
) -> None:
    """EC-094: only what nobody can take is drawn for members who are full."""
    active = [place for place, capacity in enumerate(capacities) if capacity >= 0]
    if not active:
        return
    drawn = Counter(draw_members(seed, capacities, count))
    room = sum(capacity for capacity in capacities if capacity > 0)

    assert drawn.total() == count
    assert set(drawn) <= set(active)
    beyond = sum(max(0, number - capacities[place]) for place, number in drawn.items())
    assert beyond == max(0, count - room)


@given(
    seed=SEEDS,
    members=st.integers(1, 40),
    count=st.integers(1, 200),
    policy=st.sampled_from(RemainderPolicy),
)
def test_ec093_nobody_gets_two_more_than_another(
    seed: str, members: int, count: int, policy: RemainderPolicy
) -> None:
    """EC-093: the difference is one at most, and none where the remainder is kept."""
    each, more = shares(seed, members=members, count=count, policy=policy)

    assert each == count // members
    assert more <= set(range(members))
    kept = policy is RemainderPolicy.KEEP
    assert len(more) == (0 if kept else count % members)


@given(seed=SEEDS, capacities=CAPACITIES, count=st.integers(1, 60), mode=st.sampled_from(Mode))
def test_a_plans_rows_are_what_it_counts(
    seed: str, capacities: list[int], count: int, mode: Mode
) -> None:
    active = sum(capacity >= 0 for capacity in capacities)
    if active == 0 or (mode is Mode.EQUAL and count < active):
        return
    plan = Plan(options(count, mode), Standing(1, 1, 1), capacities, seed)
    rows = list(plan.rows())

    assert [position for position, _place, _allowed in rows] == list(range(1, plan.items + 1))
    assert sum(allowed for _position, _place, allowed in rows) == plan.allowed()
    taken = Counter(place for _position, place, allowed in rows if allowed)
    assert all(number <= capacities[place] for place, number in taken.items())


def test_ec099_a_pool_without_active_members_is_refused() -> None:
    """EC-099: nobody at all, or nobody who is active."""
    for capacities in ([], [-1, -1]):
        with pytest.raises(EmptyPool):
            make_plan(options(1), Standing(1, 1, 1), capacities, key=b"k")


def test_ec093_fewer_coupons_than_members_make_no_equal_share() -> None:
    """EC-093"""
    with pytest.raises(TooFewForEqual):
        make_plan(options(2, Mode.EQUAL), Standing(1, 1, 1), [9, 9, 9], key=b"k")


def test_a_seed_is_made_from_the_plan_and_from_nothing_else() -> None:
    """Asking again gives no other draw; the next draw of the book has another seed."""
    first, again, after = (
        make_plan(options(3), Standing(1, 1, draws), [5, 5], key=b"k") for draws in (1, 1, 2)
    )

    assert first.seed == again.seed != after.seed
    assert make_plan(options(3, seed="mine"), Standing(1, 1, 1), [5], key=b"k").seed == "mine"


@pytest.mark.parametrize(
    ("standing", "changed"),
    [
        (Standing(2, 1, 1), ["pool"]),
        (Standing(1, 2, 1), ["book"]),
        (Standing(1, 1, 2), ["draws"]),
        (Standing(2, 1, 2), ["pool", "draws"]),
    ],
)
def test_ec092_a_stale_plan_says_what_changed(standing: Standing, changed: list[str]) -> None:
    """EC-092"""
    before = plan_hash(options(3), Standing(1, 1, 1), [5, 5])

    assert changes_since(before, plan_hash(options(3), standing, [5, 5])) == changed


def test_ec092_a_plan_of_other_options_is_another_one() -> None:
    before = plan_hash(options(3), Standing(1, 1, 1), [5, 5])

    assert changes_since(before, plan_hash(options(4), Standing(1, 1, 1), [5, 5])) == [
        "members_or_options"
    ]
    assert changes_since("nonsense", before) == ["pool", "book", "draws", "members_or_options"]
