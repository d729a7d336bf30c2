"""What a code would do, for who says not who they are: one question to the database, whatever is true."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.books.codes import canonical
from pipelines.discounts.cart import Cart
from pipelines.discounts.pricing import Quote
from pipelines.discounts.refusals import CodeInvalid
from pipelines.discounts.rules import price
from pipelines.discounts.stored_rules import RULES_READ, rules_of

# What is over is counted until somebody gives it back, and blocks nobody. A text that cannot be a code
# is looked for, too: its answer takes as long as the others (EC-029).
_LOOK = text(f"""
SELECT {RULES_READ}
FROM discount_codes c JOIN discount_rules r ON r.code_id = c.id AND r.version = c.rules_version
JOIN clients l ON l.id = c.client_id
WHERE c.client_id = :client AND c.code = :code AND c.state = 'active' AND l.suspended_at IS NULL
  AND c.assignee_keys IS NULL
  AND (c.max_uses IS NULL OR c.used - (
    SELECT count(*) FROM discount_usages u
    WHERE u.code_id = c.id AND u.state = 'reserved' AND u.expires_at <= :now) < c.max_uses)
""")


def look_publicly(
    session: Session, client_id: UUID, typed: str, cart: Cart, *, now: datetime
) -> Quote:
    """The price with the code; raises `CodeInvalid` for every reason why it is not good now.

    One that is for somebody in particular is good for nobody in general (EC-017).
    An amount has no lines: of a code for certain products it is told as if all were of them, and
    whoever asks is taken for somebody who has bought nothing yet.
    """
    values = {"client": client_id, "code": canonical(typed), "now": now}
    row = session.execute(_LOOK, values).one_or_none()
    if row is None:
        raise CodeInvalid
    priced = price(replace(rules_of(row), products=None), cart, now, is_first_order=True)
    if not isinstance(priced, Quote):
        raise CodeInvalid
    return priced
