"""A distribution is drawn again from its seed: whatever came out otherwise is found (idea 13)."""

from collections.abc import Callable
from uuid import UUID

import pytest

from ops.draws import first_difference
from pipelines.distribution.draw import Mode, commitment_of, shuffled
from pipelines.distribution.plan import DistributionOptions, Plan, Standing

SEED = "dice of the fourth of May"
CAPACITIES = (2, 0, -1, 3, 1)
PEOPLE = [str(UUID(int=100 + place)) for place in range(len(CAPACITIES))]
Rows = list[dict[str, str]]
Told = tuple[dict[str, object], Rows, Rows]


def told(mode: Mode, count: int) -> Told:
    """What the API tells of a draw that went as its seed says: draw, people, results."""
    options = DistributionOptions(UUID(int=1), UUID(int=2), mode, count)
    plan = Plan(options, Standing(1, 1, 0), CAPACITIES, SEED)
    coupons = iter(shuffled(SEED, [UUID(int=1000 + number) for number in range(plan.allowed())]))
    results = [
        {
            "row": str(position),
            "user_id": PEOPLE[place],
            "state": "succeeded" if allowed else "skipped",
            "coupon_id": str(next(coupons)) if allowed else "",
        }
        for position, place, allowed in plan.rows()
    ]
    members = [
        {"place": str(place), "user_id": PEOPLE[place], "capacity": str(capacity)}
        for place, capacity in enumerate(CAPACITIES)
    ]
    draw: dict[str, object] = {
        "mode": mode.value,
        "count": count,
        "remainder_policy": "keep",
        "draw_number": 0,
        "seed": SEED,
        "seed_sha256": commitment_of(SEED),
        "members": len(members),
    }
    return draw, members, results


def swapped(told_: Told) -> None:
    _draw, _members, rows = told_
    rows[0]["coupon_id"], rows[1]["coupon_id"] = rows[1]["coupon_id"], rows[0]["coupon_id"]


def favoured(told_: Told) -> None:
    _draw, _members, rows = told_
    rows[1]["user_id"] = PEOPLE[1]


def beyond(told_: Told) -> None:
    _draw, _members, rows = told_
    row = next(row for row in rows if row["state"] == "skipped")
    row |= {"state": "succeeded", "coupon_id": str(UUID(int=9))}


def other_seed(told_: Told) -> None:
    told_[0]["seed"] = "another one"


def left_out(told_: Told) -> None:
    told_[2].pop(0)


def cut(told_: Told) -> None:
    told_[2].pop()


def fewer_people(told_: Told) -> None:
    told_[1].pop()


@pytest.mark.parametrize("mode", list(Mode))
def test_what_the_seed_says_differs_in_nothing(mode: Mode) -> None:
    assert first_difference(*told(mode, 8)) is None


def test_a_row_that_was_refused_in_the_end_differs_in_nothing() -> None:
    """A person who was disabled meanwhile has no coupon; the others keep theirs."""
    draw, members, rows = told(Mode.RANDOM, 6)
    rows[2] |= {"state": "failed", "coupon_id": ""}

    assert first_difference(draw, members, rows) is None


@pytest.mark.parametrize(
    ("meddle", "said"),
    [
        (swapped, "Row 1: the seed gives "),
        (favoured, "Row 2: the seed draws "),
        (beyond, "could take no more, and the row is succeeded."),
        (other_seed, "The seed is not the one whose digest was told before the draw."),
        (left_out, "Row 1 is missing."),
        (cut, "The draw has 8 rows, the file has 7."),
        (fewer_people, "5 people were in the pool, 4 are in the file."),
    ],
)
def test_whatever_was_meddled_with_is_found(meddle: Callable[[Told], None], said: str) -> None:
    drawn = told(Mode.RANDOM, 8)
    meddle(drawn)

    difference = first_difference(*drawn)

    assert difference is not None
    assert said in difference
