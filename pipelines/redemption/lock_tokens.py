"""The token of a coupon's lock: made from the coupon and its version, and kept nowhere."""

import hmac
from uuid import UUID, uuid5

from pipelines.books.look_up import CouponInHand
from pipelines.sealing import Keyring

_LABEL = "coupon-locks"


def lock_token(coupon: CouponInHand, *, version: int, keyring: Keyring) -> str:
    """The token of the lock that made the coupon's version this one: 64 hexadecimal digits.

    Asking again with the same key shows the same token; the next lock has another.
    """
    named = b"%s:%d" % (coupon.id.bytes, version)
    digest = hmac.digest(keyring.lasting_key(_LABEL), named, "sha256")
    return digest.hex()


def lock_id(coupon_id: UUID, version: int) -> UUID:
    """The name of the lock that made the coupon's version this one: what a request made."""
    return uuid5(coupon_id, f"lock:{version}")


def is_lock_token(given: str | None, coupon: CouponInHand, keyring: Keyring) -> bool:
    """Whether it is the token of the coupon's lock as it stands."""
    if given is None:
        return False
    expected = lock_token(coupon, version=coupon.version, keyring=keyring)
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())
