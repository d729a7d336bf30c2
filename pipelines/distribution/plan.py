"""What a distribution would do, as values: who was in the pool, how many each gets, and what it is called by.

The plan's name holds the versions of what it rests on, so that a stale one can say what changed.
"""

import hashlib
import hmac
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import repeat
from uuid import UUID

from pipelines.distribution.draw import (
    Mode,
    RemainderPolicy,
    draw_members,
    shares,
)
from pipelines.distribution.refusals import EmptyPool, TooFewForEqual

#: What stands for "as many as they like" among capacities.
UNLIMITED = 2_147_483_647
INACTIVE = -1


class OnFailure(StrEnum):
    """What one recipient who cannot be served means for the others."""

    PER_RECIPIENT = "per_recipient"
    ATOMIC = "atomic"


@dataclass(frozen=True, slots=True)
class DistributionOptions:
    """What is asked of a distribution; `count` is of coupons."""

    pool_id: UUID
    book_id: UUID
    mode: Mode
    count: int
    remainder_policy: RemainderPolicy = RemainderPolicy.KEEP
    on_failure: OnFailure = OnFailure.PER_RECIPIENT
    #: At most so many for one member, beside the book's own limit.
    max_per_recipient: int | None = None
    #: The caller's own seed; None: one that is made from the plan.
    seed: str | None = None

    def as_spec(self) -> dict[str, str | int | None]:
        """The job's spec."""
        return {
            "pool_id": str(self.pool_id),
            "book_id": str(self.book_id),
            "mode": self.mode.value,
            "count": self.count,
            "remainder_policy": self.remainder_policy.value,
            "on_failure": self.on_failure.value,
            "max_per_recipient": self.max_per_recipient,
        }

    def digest(self) -> bytes:
        """What two requests for the same share."""
        named = "|".join(f"{name}={value}" for name, value in sorted(self.as_spec().items()))
        return hashlib.sha256(f"{named}|{self.seed}".encode()).digest()


@dataclass(frozen=True, slots=True)
class Standing:
    """The versions of what a plan rests on."""

    pool_version: int
    book_version: int
    #: How many draws the book had before.
    draws: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Who gets how many: capacities of all members in the pool's order, inactive ones -1."""

    options: DistributionOptions
    standing: Standing
    capacities: Sequence[int]
    seed: str

    @property
    def active(self) -> int:
        return sum(capacity >= 0 for capacity in self.capacities)

    @property
    def inactive(self) -> int:
        return len(self.capacities) - self.active

    @property
    def saturated(self) -> int:
        """Active members who have as many as they may."""
        return sum(capacity == 0 for capacity in self.capacities)

    @property
    def plan_hash(self) -> str:
        return plan_hash(self.options, self.standing, self.capacities)

    @property
    def per_user(self) -> int:
        """Equal mode: how many each member gets at least."""
        return self.options.count // self.active

    @property
    def coupons(self) -> int:
        """How many coupons are drawn; what an equal share leaves over stays in the book."""
        if (
            self.options.mode is Mode.EQUAL
            and self.options.remainder_policy is RemainderPolicy.KEEP
        ):
            return self.per_user * self.active
        return self.options.count

    @property
    def remainder(self) -> int:
        """Equal mode: how many the equal share leaves over."""
        return self.options.count % self.active if self.options.mode is Mode.EQUAL else 0

    @property
    def items(self) -> int:
        """Rows of the job: one for each coupon, and in equal mode one for each inactive member."""
        return self.coupons + (self.inactive if self.options.mode is Mode.EQUAL else 0)

    def recipients(self) -> Iterator[int]:
        """The member (by place in the pool) of each position, from the first one on."""
        if self.options.mode is Mode.RANDOM:
            yield from draw_members(self.seed, self.capacities, self.options.count)
            return
        for place, share in self.equal_shares():
            yield from repeat(place, share)
        yield from (place for place, capacity in enumerate(self.capacities) if capacity < 0)

    def equal_shares(self) -> Iterator[tuple[int, int]]:
        """Equal mode: how many coupons each active member is to get, by place in the pool."""
        active = [place for place, capacity in enumerate(self.capacities) if capacity >= 0]
        each, more = shares(
            self.seed,
            members=len(active),
            count=self.options.count,
            policy=self.options.remainder_policy,
        )
        for number, place in enumerate(active):
            yield place, each + (number in more)

    def rows(self) -> Iterator[tuple[int, int, bool]]:
        """(position, member, allowed) of each row of the job; members are places in the pool.

        Of one member the first rows are allowed, as many as they can still take.
        """
        left = array("i", self.capacities)
        for position, place in enumerate(self.recipients(), start=1):
            yield position, place, left[place] > 0
            left[place] -= left[place] > 0

    def allowed(self) -> int:
        """How many coupons find somebody who may take them."""
        if self.options.mode is Mode.RANDOM:
            most = self.options.count
            room = sum(min(capacity, most) for capacity in self.capacities if capacity > 0)
            return min(most, room)
        return sum(min(share, self.capacities[place]) for place, share in self.equal_shares())


def make_plan(
    options: DistributionOptions, standing: Standing, capacities: Sequence[int], *, key: bytes
) -> Plan:
    """The plan, and its seed: the caller's, or one that nobody chooses.

    That one is an HMAC of the plan's name, so that asking again gives no other draw.
    Raises `EmptyPool`, `TooFewForEqual`.
    """
    active = sum(capacity >= 0 for capacity in capacities)
    if active == 0:
        raise EmptyPool(members=len(capacities))
    if options.mode is Mode.EQUAL and options.count < active:
        raise TooFewForEqual(count=options.count, members=active)
    seed = options.seed or _made(plan_hash(options, standing, capacities), key)
    return Plan(options, standing, capacities, seed)


def plan_hash(options: DistributionOptions, standing: Standing, capacities: Sequence[int]) -> str:
    """The plan's name: the versions it rests on, and a digest of all that decides about it."""
    digest = hashlib.sha256(options.digest())
    digest.update(repr(list(capacities)).encode())
    versions = f"p{standing.pool_version}.b{standing.book_version}.d{standing.draws}"
    digest.update(versions.encode())
    return f"{versions}.{digest.hexdigest()[:32]}"


def changes_since(given: str, now: str) -> list[str]:
    """What a stale plan's name and the present one differ in: pool, book, draws, or limits."""
    names = ("pool", "book", "draws", "members_or_options")
    before, after = given.split("."), now.split(".")
    if len(before) != len(after):
        return list(names)
    changed = [name for name, old, new in zip(names, before, after, strict=True) if old != new]
    return [name for name in changed if name != names[-1]] or changed


def _made(name: str, key: bytes) -> str:
    return hmac.digest(key, name.encode(), "sha256").hex()
