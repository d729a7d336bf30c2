"""Draw a distribution again from its seed, and find the first row that came out otherwise."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from pipelines.distribution.draw import Mode, RemainderPolicy, commitment_of, shuffled
from pipelines.distribution.plan import DistributionOptions, Plan, Standing

Row = Mapping[str, str]
_NOBODY = UUID(int=0)
SKIPPED = "skipped"


def first_difference(
    draw: Mapping[str, Any], members: Sequence[Row], results: Sequence[Row]
) -> str | None:
    """None if everything is as the seed says; else a sentence on the first thing that is not.

    `draw` is what the API says of the draw after its end; the rows are those of its two files.
    """
    seed = draw["seed"]
    if commitment_of(seed) != draw["seed_sha256"]:
        return "The seed is not the one whose digest was told before the draw."
    if len(members) != draw["members"]:
        return f"{draw['members']} people were in the pool, {len(members)} are in the file."
    return _people(_plan(draw, members), members, results) or _coupons(seed, results)


def _plan(draw: Mapping[str, Any], members: Sequence[Row]) -> Plan:
    options = DistributionOptions(
        _NOBODY,
        _NOBODY,
        Mode(draw["mode"]),
        int(draw["count"]),
        RemainderPolicy(draw["remainder_policy"]),
    )
    capacities = [int(member["capacity"]) for member in members]
    return Plan(options, Standing(0, 0, int(draw["draw_number"])), capacities, draw["seed"])


def _people(plan: Plan, members: Sequence[Row], results: Sequence[Row]) -> str | None:
    """Row by row: who was drawn, and that nobody has a coupon beyond what they could take."""
    drawn = _drawn(plan, members)
    for row, (position, user_id, allowed) in zip(results, drawn, strict=False):
        where = f"Row {position}"
        if row["row"] != str(position):
            return f"{where} is missing."
        if row["user_id"] != user_id:
            return f"{where}: the seed draws {user_id}, the file has {row['user_id']}."
        if not allowed and (row["coupon_id"] or row["state"] != SKIPPED):
            return f"{where}: {user_id} could take no more, and the row is {row['state']}."
    if len(results) != plan.items:
        return f"The draw has {plan.items} rows, the file has {len(results)}."
    return None


def _drawn(plan: Plan, members: Sequence[Row]) -> Iterator[tuple[int, str, bool]]:
    for position, place, allowed in plan.rows():
        yield position, members[place]["user_id"], allowed


def _coupons(seed: str, results: Sequence[Row]) -> str | None:
    """That the coupons were given in the order that the seed shuffles them in."""
    given = [row for row in results if row["coupon_id"]]
    order = shuffled(seed, [UUID(row["coupon_id"]) for row in given])
    for row, coupon_id in zip(given, order, strict=True):
        if row["coupon_id"] != str(coupon_id):
            return f"Row {row['row']}: the seed gives {coupon_id}, the file has {row['coupon_id']}."
    return None
