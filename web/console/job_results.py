"""What came of a job about coupons, in words: statistics, counts per person, the seed, the coupon."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row
from sqlalchemy.orm import Session

from pipelines.distribution.draw import Mode
from pipelines.jobs.kinds import COUPON_ASSIGNMENT, COUPON_REDEMPTION, DISTRIBUTION, Viewer
from pipelines.user_pools.find_person import people_named
from web.console.formats import masked_email, number, plural
from web.front import front

MODES = {Mode.RANDOM: "Random", Mode.EQUAL: "Equal"}
COUPON_STATES = {
    "unassigned": "Nobody has it",
    "assigned": "Assigned",
    "locked": "Set aside",
    "redeemed": "Redeemed",
    "void": "Withdrawn",
}


@dataclass(frozen=True, slots=True)
class PersonCount:
    """Somebody, how many coupons they got, and how many they did not."""

    called: str
    sub: str
    assigned: str
    not_assigned: str


@dataclass(frozen=True, slots=True)
class ResultWords:
    """A heading, facts below it, and the people of a distribution."""

    title: str
    facts: tuple[tuple[str, str], ...]
    people: tuple[PersonCount, ...] = ()
    people_note: str = ""
    #: What it was drawn from; empty for what was not drawn.
    seed: str = ""


def result_words(session: Session, row: Row[Any]) -> ResultWords | None:
    """Of an ended job (a row of `pipelines.jobs.read`); None where the counts say everything."""
    if row.finished_at is None or row.kind not in {
        DISTRIBUTION,
        COUPON_ASSIGNMENT,
        COUPON_REDEMPTION,
    }:
        return None
    house = front().house
    look_up = house.job_kinds[row.kind].outcome
    if look_up is None:
        return None
    viewer = Viewer(
        house.settings.keyring, house.settings.public_url, sees_costs=False, sees_link=False
    )
    result, _error = look_up(session, row, viewer)
    if result is None:
        return None
    if row.kind == DISTRIBUTION:
        return _distribution(session, row, result["distribution"])
    return _coupon(result["coupon"])


def _distribution(session: Session, row: Row[Any], told: Mapping[str, Any]) -> ResultWords:
    names = people_named(session, row.client_id, [one["user_id"] for one in told["per_user"]])
    least, most = told["fewest_per_user"], told["most_per_user"]
    each = number(most) if least == most else f"{number(least)} to {number(most)}"
    facts = (
        ("Mode", MODES[Mode(told["mode"])]),
        ("Coupons asked for", number(told["count"])),
        ("Coupons assigned", number(told["assigned"])),
        ("People in the pool", number(told["members"])),
        ("People who got one", number(told["people_served"])),
        ("Coupons for one person", each),
    )
    people = tuple(_person(one, names.get(one["user_id"])) for one in told["per_user"])
    note = ""
    if told["people"] > len(people):
        first = plural(len(people), "person", "people")
        note = f"The first {first} of {number(told['people'])}; the results file has them all."
    return ResultWords("What came of it", facts, people, note, told["seed"])


def _person(one: Mapping[str, Any], known: Row[Any] | None) -> PersonCount:
    email = known.email if known else None
    outside = (known.external_id if known else None) or ""
    called = masked_email(email) if email else outside or str(one["user_id"])
    counts = (number(one["assigned"]), number(one["not_assigned"]))
    return PersonCount(called, outside if email else "", *counts)


def _coupon(told: Mapping[str, Any]) -> ResultWords:
    state = COUPON_STATES.get(told["state"], str(told["state"]))
    facts = (
        ("Code", str(told["code"])),
        ("State now", state),
        ("Times redeemed", number(told["redemptions"])),
    )
    return ResultWords("The coupon", facts)
