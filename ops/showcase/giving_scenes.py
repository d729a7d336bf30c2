"""Scenes of giving coupons: to people by e-mail, up to their limits, and to a whole pool."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from ops.demo import ids
from ops.demo.seed_people import PEOPLE
from ops.demo.stock_coupons import PATIENCE
from ops.showcase.cast import Beat, Cast, assign, words

BETA_TESTERS = "Beta Testers"
BOB = next(person for person in PEOPLE if person.id == ids.BOB)


def a_coupon_goes_to_an_address(cast: Cast) -> Iterator[Beat]:
    """S3-044, S3-045, S3-047: an address is looked up; a code is given to one person only."""
    book = cast.book_like(ids.SUMMER_SALE, codes=1)
    (free,) = cast.alice.get(f"/books/{book}/coupons")["data"]
    yield Beat(f"look up {BOB.email}", str(BOB.id), _look_up(cast, BOB.email))
    yield Beat(f"assign to {BOB.email}", "assigned", assign(cast.alice, free["code"], BOB.id))
    again = assign(cast.alice, free["code"], ids.ALICE)
    yield Beat("assign the same code to another", "409 Coupon not available", again)
    nobody = _look_up(cast, "nobody@example.com")
    yield Beat("look up nobody@example.com", "404 User not found", nobody)


def six_of_five_are_too_many(cast: Cast) -> Iterator[Beat]:
    """S3-046, S3-058, S3-084: a sixth coupon of a book that allows five for each person."""
    yield from _beyond(cast, cast.book_like(ids.SUMMER_SALE, codes=6), most=5)


def three_of_two_are_too_many(cast: Cast) -> Iterator[Beat]:
    """S1-060, S1-061: a third coupon of a book that allows two for each person."""
    yield from _beyond(cast, cast.book_like(ids.WELCOME_GIFT, codes=3), most=2)


def ten_go_to_the_beta_testers(cast: Cast) -> Iterator[Beat]:
    """S3-082, S1-072, S3-050, S3-051: an administrator previews and distributes ten, at random."""
    book = cast.book_like(ids.SUMMER_SALE, codes=20)
    pool = _pool(cast, BETA_TESTERS)
    yield Beat("3 people or more are in the pool", "True", str(pool["members"] >= 3))
    body = {"book_id": book, "mode": "random", "count": 10}
    plan = _distribute(cast, pool, body, preview="true")
    yield Beat("preview: people affected", str(pool["members"]), str(plan["affected_count"]))
    yield Beat("preview: to assign", "10", str(plan["to_assign"]))
    stock = cast.alice.get(f"/books/{book}")["stock"]
    yield Beat("assigned by the preview", "0", str(stock["assigned"]))
    done = _distribute(cast, pool, body | {"plan_hash": plan["plan_hash"]})
    yield Beat("the job", "succeeded", done["state"])
    told = done["result"]["distribution"]
    yield Beat("assigned", "10", str(told["assigned"]))
    yield Beat("assigned, summed over the people", "10", str(_sum(told["per_user"])))


def a_distribution_keeps_to_the_limits(cast: Cast) -> Iterator[Beat]:
    """S1-062: with two for each person at most, a pool takes no more than twice its people."""
    book, pool = cast.book_like(ids.WELCOME_GIFT, codes=20), _pool(cast, BETA_TESTERS)
    most = 2 * pool["members"]
    body = {"book_id": book, "mode": "random", "count": most + 3, "allow_partial": True}
    done = _distribute(cast, pool, body)
    told = done["result"]["distribution"]
    yield Beat(f"{most + 3} asked, assigned", str(most), str(told["assigned"]))
    yield Beat("most for one person", "2", str(told["most_per_user"]))
    yield Beat("fewest for one person", "2", str(told["fewest_per_user"]))
    failures = cast.admin.failures(done["id"])
    came = ", ".join(f"{group['count']} {group['code']}" for group in failures)
    yield Beat("not assigned", "3 user_limit_reached", came)


def _look_up(cast: Cast, email: str) -> str:
    return words(lambda: str(cast.admin.get("/users/search/by-email", email=email)["id"]))


def _beyond(cast: Cast, book: str, *, most: int) -> Iterator[Beat]:
    """As many as one person may have, and one more."""
    for number in range(1, most + 1):
        yield Beat(f"assign number {number}", "assigned", _assign_any(cast, book))
    refused = f"409 Maximum assignments exceeded ({most}/{most})"
    yield Beat(f"assign number {most + 1}", refused, _assign_any(cast, book))


def _assign_any(cast: Cast, book: str) -> str:
    return words(lambda: cast.state_of(cast.given(book, ids.CHARLIE)))


def _pool(cast: Cast, name: str) -> dict[str, Any]:
    """The demo's pool of this name, whatever else is called alike."""
    found = cast.admin.get("/pools", q=name)["data"]
    pool: dict[str, Any] = next(pool for pool in found if pool["name"] == name)
    return pool


def _distribute(cast: Cast, pool: dict[str, Any], body: Any, **query: str) -> dict[str, Any]:
    path = f"/pools/{UUID(pool['id'])}/distribute"
    return cast.admin.send("POST", path, json=body, params=query, headers=PATIENCE)


def _sum(people: list[dict[str, Any]]) -> int:
    return sum(int(person["assigned"]) for person in people)


SCENES = (
    a_coupon_goes_to_an_address,
    six_of_five_are_too_many,
    three_of_two_are_too_many,
    ten_go_to_the_beta_testers,
    a_distribution_keeps_to_the_limits,
)
