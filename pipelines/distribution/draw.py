"""Draw who gets which coupon from a seed, so that anybody can draw it again (docs/draw.md).

Every choice is the SHA-256 of the seed and a label, so that the outcome depends on nothing else:
not on workers, not on their order, not on restarts.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from hashlib import sha256
from uuid import UUID


class Mode(StrEnum):
    """Random: each coupon is drawn a member. Equal: each member gets the same number."""

    RANDOM = "random"
    EQUAL = "equal"


class RemainderPolicy(StrEnum):
    """What becomes of the coupons that an equal share leaves over."""

    KEEP = "keep"
    RANDOM = "random"
    FIRST = "first"


def commitment_of(seed: str) -> str:
    """The digest of a seed, in hex: told before the draw, so that the seed cannot be another one."""
    return sha256(seed.encode()).hexdigest()


def below(seed: str, label: str, bound: int) -> int:
    """A whole number from 0 to `bound` - 1, each as likely as the others, but for 1 in 2**190.

    The digest of `seed:label` as a big-endian number, modulo `bound`.
    """
    return int.from_bytes(sha256(f"{seed}:{label}".encode()).digest(), "big") % bound


def draw_members(seed: str, capacities: Sequence[int], count: int) -> Iterator[int]:
    """For each of `count` coupons the index of the member who gets it.

    Each is drawn among the members who can still take one. Where nobody can, it is drawn among
    all who are active, and will be refused for its limit: members of capacity -1 are not active.
    """
    left = list(capacities)
    open_members = [index for index, capacity in enumerate(left) if capacity > 0]
    active = [index for index, capacity in enumerate(left) if capacity >= 0]
    for number in range(1, count + 1):
        if not open_members:
            yield active[below(seed, f"member:{number}", len(active))]
            continue
        place = below(seed, f"member:{number}", len(open_members))
        member = open_members[place]
        left[member] -= 1
        if left[member] == 0:
            # The last one takes the place of who is full.
            open_members[place] = open_members[-1]
            open_members.pop()
        yield member


def draw_remainder(seed: str, members: int, count: int) -> list[int]:
    """`count` different ones of so many members, in ascending order: who gets one more."""
    chosen: dict[int, int] = {}
    places = []
    for number in range(count):
        place = number + below(seed, f"remainder:{number + 1}", members - number)
        places.append(chosen.get(place, place))
        chosen[place] = chosen.get(number, number)
    return sorted(places)


def shares(
    seed: str, *, members: int, count: int, policy: RemainderPolicy
) -> tuple[int, frozenset[int]]:
    """Equal mode: how many each member gets, and which members get one more (EC-093)."""
    each, remainder = divmod(count, members)
    match policy:
        case RemainderPolicy.KEEP:
            return each, frozenset()
        case RemainderPolicy.FIRST:
            return each, frozenset(range(remainder))
        case RemainderPolicy.RANDOM:
            return each, frozenset(draw_remainder(seed, members, remainder))


def shuffled(seed: str, coupons: Sequence[UUID]) -> list[UUID]:
    """The coupons in the order in which they are given: by the digest of the seed and their id."""
    salt = f"{seed}:coupon:".encode()
    return sorted(coupons, key=lambda coupon: sha256(salt + coupon.bytes).digest())
