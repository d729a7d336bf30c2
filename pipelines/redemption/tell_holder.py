"""Write to whoever holds a coupon that it was redeemed, where its book says so (S1-110)."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.books.look_up import CouponInHand
from pipelines.books.rules import BookRules
from pipelines.mail.post import Letter, post
from pipelines.mail.templates import Template
from pipelines.sealing import Keyring

# Whom the client has no address of, an erased person included, or who is disabled is not found.
# FOR SHARE: an erasure of the person waits for the mail, and ends it.
_HOLDER = text("""
SELECT u.email, l.name AS client, right(coalesce(c.code, s.last4), 4) AS ending,
    coalesce(n.redeemed, 0) AS redeemed
FROM coupons c
JOIN client_users u ON u.client_id = c.client_id AND u.user_id = c.user_id
JOIN clients l ON l.id = c.client_id
LEFT JOIN coupon_codes s ON s.id = c.id
LEFT JOIN coupon_counts n ON n.book_id = c.book_id AND n.user_id = c.user_id
WHERE c.book_id = :book AND c.id = :coupon AND u.email IS NOT NULL AND u.disabled_at IS NULL
FOR SHARE OF u
""")


def tell_holder(
    session: Session, rules: BookRules, coupon: CouponInHand, *, keyring: Keyring, now: datetime
) -> None:
    """Post the mail in the transaction of the redemption; `coupon` is as it was before.

    Of the code it holds the last characters alone: it passes through mailboxes of others.
    """
    if not rules.tells_holder:
        return
    values = {"book": coupon.book_id, "coupon": coupon.id}
    holder = session.execute(_HOLDER, values).one_or_none()
    if holder is None:
        return
    told = {
        "book": rules.name,
        "ending": holder.ending,
        "at": _moment(now),
        "left": _left(rules, coupon, holder),
        "sender": holder.client,
        # An erasure at one client finds its own mails by it.
        "client_id": str(coupon.client_id),
    }
    letter = Letter(Template.COUPON_REDEEMED, coupon.facts.user_id, holder.email, told)
    post(session, letter, keyring=keyring, now=now)


def _left(rules: BookRules, coupon: CouponInHand, holder: Row[Any]) -> str:
    """How often it can still be redeemed, in a sentence; nothing where once is all there is."""
    if not rules.allow_multi_redemption:
        return ""
    left = [
        most - done
        for most, done in (
            (rules.max_redemptions_per_coupon, coupon.facts.redemptions + 1),
            (rules.max_redemptions_per_user, holder.redeemed),
        )
        if most is not None
    ]
    if not left:
        return "It can be redeemed again, for as long as its book allows."
    if (most := min(left)) <= 0:
        return "It cannot be redeemed again."
    return f"It can be redeemed {most} more {'time' if most == 1 else 'times'}."


def _moment(now: datetime) -> str:
    at = now.astimezone(UTC)
    return f"{at.day} {at:%B %Y} at {at:%H:%M} UTC"
