"""The scene of two windows: one coupon, redeemed in both at the same moment."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from ops.client import Api
from ops.demo import ids
from ops.showcase.cast import Beat, Cast, redeem

#: How often they try to meet: the second may come when the first has done, and hears another word.
ROUNDS_MAX = 40
CONCURRENT = "409 Concurrent redemption detected"
TOO_LATE = "409 Terminal state"


def two_windows_redeem_at_once(cast: Cast) -> Iterator[Beat]:
    """S3-083, S3-039, S3-041, S1-066: one of two redeems, the other hears that it was not alone."""
    book = cast.book_like(
        ids.SUMMER_SALE,
        codes=ROUNDS_MAX,
        max_redemptions_per_user=None,
        max_assignments_per_user=None,
    )
    code, came = "", [""]
    for _round in range(ROUNDS_MAX):
        code = cast.given(book)
        came = _in_both((cast.alice, cast.alice_again), code)
        if came != ["redeemed", TOO_LATE]:
            break
    yield Beat("redeem in two windows", f"redeemed | {CONCURRENT}", " | ".join(came))
    history = cast.alice.get(f"/coupons/{code}/history")["data"]
    redeemed = sum(event["move"] == "redeemed" for event in history)
    yield Beat("redemptions in its history", "1", str(redeemed))


def _in_both(windows: tuple[Api, Api], code: str) -> list[str]:
    """What both hear, who redeemed it first."""
    together = threading.Barrier(len(windows))

    def press(window: Api) -> str:
        together.wait()
        return redeem(window, code)

    with ThreadPoolExecutor(len(windows)) as hands:
        return sorted(hands.map(press, windows), reverse=True)


SCENES = (two_windows_redeem_at_once,)
