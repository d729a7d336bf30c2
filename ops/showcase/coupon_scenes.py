"""Scenes with one coupon: each state with each move, those that are refused among them."""

from collections.abc import Iterator
from datetime import datetime

from ops.demo import ids
from ops.showcase.cast import Beat, Cast, assign, lock, move, redeem

LOCKED_SECONDS = 300
VOID = "409 The coupon was withdrawn and is worth nothing."


def a_coupon_is_redeemed_for_good(cast: Cast) -> Iterator[Beat]:
    """S3-078, S3-029, S3-034, S3-035, S1-064: Alice redeems a coupon; then nothing moves it."""
    code = cast.given(cast.book_like(ids.SUMMER_SALE, codes=1))
    yield Beat("ASSIGNED + redeem", "redeemed", redeem(cast.alice, code))
    yield Beat("its state", "redeemed", cast.state_of(code))
    yield Beat("REDEEMED + redeem", "409 Terminal state", redeem(cast.alice, code))
    refused = "409 Invalid transition: a coupon that is redeemed cannot be locked."
    yield Beat("REDEEMED + lock", refused, lock(cast.alice, code))
    yield Beat("its state", "redeemed", cast.state_of(code))


def a_coupon_is_set_aside(cast: Cast) -> Iterator[Beat]:
    """S3-080, S3-081, S3-030..033, S1-063: locked for five minutes, unlocked, then redeemed."""
    code = cast.given(cast.book_like(ids.SUMMER_SALE, codes=1))
    yield Beat("ASSIGNED + lock", "locked", lock(cast.alice, code))
    yield Beat("it lasts", f"{LOCKED_SECONDS} seconds", _lasts(cast, code))
    yield Beat("LOCKED + lock", "409 Already locked", lock(cast.alice, code))
    yield Beat("LOCKED + redeem", "409 Cannot redeem LOCKED coupon", redeem(cast.alice, code))
    yield Beat("LOCKED + unlock", "assigned", move(cast.alice, code, "unlock"))
    yield Beat("ASSIGNED + redeem", "redeemed", redeem(cast.alice, code))


def a_coupon_is_redeemed_again(cast: Cast) -> Iterator[Beat]:
    """S3-057: a coupon of VIP Rewards may be redeemed more than once."""
    code = cast.given(cast.book_like(ids.VIP_REWARDS, codes=1))
    yield Beat("redeem", "assigned", redeem(cast.alice, code))
    yield Beat("redeem once more", "assigned", redeem(cast.alice, code))
    yield Beat("redemptions", "2", str(cast.alice.get(f"/coupons/{code}")["redemptions"]))


def every_other_refusal_says_why(cast: Cast) -> Iterator[Beat]:
    """S1-065, S3-036: what a state does not allow is refused in words that say so."""
    book = cast.book_like(ids.SUMMER_SALE, codes=4)
    assigned, locked, void = (cast.given(book) for _ in range(3))
    (free,) = cast.alice.get(f"/books/{book}/coupons", state="unassigned")["data"]
    lock(cast.alice, locked)
    yield Beat("ASSIGNED + void", "void", move(cast.alice, void, "void"))
    yield Beat("VOID + redeem", VOID, redeem(cast.alice, void))
    yield Beat("VOID + lock", VOID, lock(cast.alice, void))
    yield Beat("VOID + assign", VOID, assign(cast.alice, void, ids.BOB))
    refused = "409 Invalid transition: a coupon that is {} cannot be {}."
    yield Beat(
        "ASSIGNED + unlock",
        refused.format("assigned", "unlocked"),
        move(cast.alice, assigned, "unlock"),
    )
    yield Beat(
        "UNASSIGNED + release",
        refused.format("unassigned", "released"),
        move(cast.alice, free["code"], "release"),
    )
    yield Beat(
        "LOCKED + release", "409 Cannot release LOCKED coupon", move(cast.alice, locked, "release")
    )
    yield Beat("ASSIGNED + release", "unassigned", move(cast.alice, assigned, "release"))


def _lasts(cast: Cast, code: str) -> str:
    """From the lock's entry in the history to its end."""
    history = cast.alice.get(f"/coupons/{code}/history")["data"]
    (locked,) = (event["at"] for event in history if event["move"] == "locked")
    until = datetime.fromisoformat(cast.alice.get(f"/coupons/{code}")["locked_until"])
    return f"{(until - datetime.fromisoformat(locked)).total_seconds():.0f} seconds"


SCENES = (
    a_coupon_is_redeemed_for_good,
    a_coupon_is_set_aside,
    a_coupon_is_redeemed_again,
    every_other_refusal_says_why,
)
