"""What a code would do, without taking anything: for a storefront that shows it beside the field."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.discounts import CodeState
from pipelines.discounts.cart import Cart
from pipelines.discounts.count_customers import has_enough, may_be_first
from pipelines.discounts.customers import KnownCustomer
from pipelines.discounts.look_up import code_named, is_own
from pipelines.discounts.pricing import Quote
from pipelines.discounts.refusals import CodeInactive, OwnReferral, SlotExhausted
from pipelines.discounts.rules import price
from pipelines.discounts.stored_rules import rules_of
from pipelines.errors import Refusal
from pipelines.limits import Limits

# What is over is counted until somebody gives it back, and blocks nobody.
_OVER = text("""
SELECT count(*) FROM discount_usages
WHERE code_id = :code AND state = 'reserved' AND expires_at <= :now
""")


@dataclass(frozen=True, slots=True)
class Trial:
    """A code as it was typed, for an amount, and for a customer where one was named."""

    client_id: UUID
    code: str
    cart: Cart
    customer: KnownCustomer | None


def validate(session: Session, trial: Trial, *, now: datetime, limits: Limits) -> Quote | Refusal:
    """The price with the code, or why it would be refused at this moment.

    An amount has no lines: of a code for certain products it is told as if all were of them.
    """
    keys = () if trial.customer is None else trial.customer.keys
    try:
        code = code_named(session, trial.client_id, trial.code, trial.customer)
    except Refusal as refusal:
        return refusal
    if code.state != CodeState.ACTIVE:
        return CodeInactive()
    if is_own(code, keys):
        return OwnReferral()
    rules = replace(rules_of(code), products=None)
    is_first = may_be_first(session, rules, trial.client_id, keys)
    priced = price(rules, trial.cart, now, is_first_order=is_first)
    if isinstance(priced, Refusal):
        return priced
    return _counted(session, code, keys, now, limits) or priced


def _counted(
    session: Session, code: Row[Any], keys: tuple[bytes, ...], now: datetime, limits: Limits
) -> Refusal | None:
    values = {"client": code.client_id, "code": code.id, "keys": list(keys), "now": now}
    refusal = None
    if keys:
        refusal = has_enough(session, values, code.max_uses_per_customer, limits, now=now)
    if refusal is not None:
        return refusal
    if code.max_uses is None or code.used < code.max_uses:
        return None
    over: int = session.execute(_OVER, values).scalar_one()
    return SlotExhausted() if code.used - over >= code.max_uses else None
