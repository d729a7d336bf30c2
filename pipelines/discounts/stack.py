"""The codes that one cart has: read, priced together, and written down together (EC-016, EC-018).

The cart's reservation is locked by who calls, and guards the usages of all its codes.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.discounts.cart import Cart, Line
from pipelines.discounts.look_up import referrer_of
from pipelines.discounts.refusals import CartChanged
from pipelines.discounts.release import BeingPaid, ReleaseReason, release
from pipelines.discounts.stacking import OnCart, Stack, Unfit, price_stack
from pipelines.discounts.stored_rules import RULES_READ, rules_of

# In the order in which their counts are locked.
_CODES = text(f"""
SELECT u.id, u.code_id, u.stacked_on, c.code, c.max_uses_per_customer,
    {referrer_of("u.code_id")} AS referrer_keys, {RULES_READ}
FROM discount_usages u JOIN discount_codes c ON c.id = u.code_id
JOIN discount_rules r ON r.code_id = u.code_id AND r.version = u.rules_version
WHERE u.id = :usage OR u.stacked_on = :usage ORDER BY u.code_id
""")
_PRICE = text("""
UPDATE discount_usages u SET cart_digest = :digest, quote = CAST(:quote AS jsonb),
    currency = :currency, subtotal_minor = :subtotal, discount_minor = g.discount,
    total_minor = :total, quote_version = quote_version + 1, version = version + 1
FROM unnest(CAST(:usages AS uuid[]), CAST(:discounts AS bigint[])) AS g (usage, discount)
WHERE u.id = g.usage
""")


def codes_on(session: Session, usage_id: UUID) -> Sequence[Row[Any]]:
    """The codes of a cart by its reservation, each with the rules that it was reserved under."""
    return session.execute(_CODES, {"usage": usage_id}).all()


def on_cart(row: Row[Any]) -> OnCart:
    """A code that a cart has; its time and its customer were judged when it was reserved (EC-010)."""
    return OnCart(row.code, rules_of(row), is_referral=row.referrer_keys is not None)


def reprice(
    session: Session, live: Row[Any], cart: Cart, *, now: datetime, actor_id: UUID | None
) -> CartChanged | None:
    """Price a reservation anew for a cart that has changed, or give it back whole (EC-016).

    Raises `BeingPaid` while somebody could pay what it cost before.
    """
    if live.purchase_id is not None:
        raise BeingPaid(live.purchase_id, ReleaseReason.CART_CHANGED)
    # By the rules that it was reserved under, and whatever the time is now (EC-010, EC-025).
    rows = codes_on(session, live.id)
    priced = price_stack([on_cart(row) for row in rows], cart)
    if isinstance(priced, Unfit):
        release(session, live.id, ReleaseReason.CART_CHANGED, now=now, actor_id=actor_id)
        return CartChanged(priced.why, priced.code)
    write_prices(session, rows, cart, priced)
    return None


def write_prices(session: Session, rows: Sequence[Row[Any]], cart: Cart, priced: Stack) -> None:
    """Each usage has what the cart costs with all codes, and what its own code takes off."""
    quote = priced.quote
    values = {
        "digest": cart.digest,
        "quote": json.dumps(quote.as_json()),
        "currency": quote.currency,
        "subtotal": quote.subtotal_minor,
        "total": quote.total_minor,
        "usages": [row.id for row in rows],
        "discounts": [priced.discounts[row.code] for row in rows],
    }
    session.execute(_PRICE, values)


def cart_of(reference: str, quote: Mapping[str, Any]) -> Cart:
    """The cart that was priced, read off its quote."""
    lines = tuple(
        Line(
            line["sku"],
            line["quantity"],
            line["gross_minor"] // line["quantity"],
            line["name"],
            line["tax_bp"],
        )
        for line in quote["lines"]
    )
    return Cart(reference, quote["currency"], lines, quote["includes_tax"])
