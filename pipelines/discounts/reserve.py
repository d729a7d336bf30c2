"""Take a slot of a code for a cart: the conditional updates decide, whoever is there at once (EC-001).

Rows are locked in one order: the cart's reservation, customers, their uses, the code. What is in the
way and over is given back before, in a transaction of its own (`give_way.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.discounts import CodeState
from pipelines.discounts.cart import Cart
from pipelines.discounts.count_customers import (
    Use,
    count_customer,
    know_better,
    may_be_first,
)
from pipelines.discounts.customers import KnownCustomer
from pipelines.discounts.look_up import code_named, is_own
from pipelines.discounts.paid import refuse_paid
from pipelines.discounts.refusals import CartChanged, CodeInactive, OwnReferral
from pipelines.discounts.release import BeingPaid, ReleaseReason
from pipelines.discounts.stack import codes_on, on_cart, reprice, write_prices
from pipelines.discounts.stacking import OnCart, Stack, Unfit, price_stack, refuse_stacking
from pipelines.discounts.stored_rules import rules_of
from pipelines.discounts.take import Slot, take_slot, write_usage
from pipelines.errors import Refusal
from pipelines.limits import Limits

_IN_CART = """
SELECT id, agency_id, client_id, code_id, cart_reference, cart_digest, user_id, customer_keys,
    expires_at AS kept_until, purchase_id
FROM discount_usages
WHERE client_id = :client AND cart_reference = :cart AND state = 'reserved' AND stacked_on IS NULL
"""
_LIVE = text(_IN_CART)
_BY_ID = text(_IN_CART.replace("cart_reference = :cart", "id = :usage") + "FOR NO KEY UPDATE")
_LIVE_LOCKED = text(_IN_CART + "FOR NO KEY UPDATE")
_KNOW_ASSIGNEE = text("""
UPDATE discount_codes SET assigned_user_id = :user WHERE id = :code AND assigned_user_id IS NULL
""")


@dataclass(frozen=True, slots=True)
class Ask:
    """A slot for this cart and customer, of the code as it was typed."""

    client_id: UUID
    code: str
    cart: Cart
    customer: KnownCustomer


@dataclass(frozen=True, slots=True)
class Reserved:
    """The cart's reservation; `is_replay` where it had the code already, as it is.

    `is_new`: a slot of this code was taken, for a cart without one or beside those it has.
    """

    usage_id: UUID
    code_id: UUID
    is_new: bool = False
    is_replay: bool = False


class InTheWay(Exception):
    """The cart has a reservation that is over, or another customer's: it is given back first."""


def reserve(
    session: Session, ask: Ask, *, actor_id: UUID | None, now: datetime, limits: Limits
) -> Reserved | CartChanged:
    """Take a slot, or price anew what the cart has; a cart that a code is not for gives all back.

    Raises `CodeInvalid`, `ClientSuspended`, `CodeInactive`, `OwnReferral`, `StackingNotAllowed`,
    `CartPaid`, `PaymentUnderWay`,
    `TooManyReservations`, `AlreadyReserved`, `AlreadyUsed`, `SlotExhausted`, what the rules say of
    the cart, `InTheWay`, `BeingPaid` while the cart could be paid as it was, and `Again`; what is
    written then goes with the transaction.
    """
    doing = _Doing(session, ask, actor_id, now, limits)
    code = code_named(session, ask.client_id, ask.code, ask.customer)
    live = live_in_cart(session, ask, is_locked=True)
    return _take(doing, code) if live is None else _kept(doing, code, live)


def live_in_cart(session: Session, ask: Ask, *, is_locked: bool = False) -> Row[Any] | None:
    """What the cart has reserved, be it over or not."""
    if is_locked:
        return live_by_cart(session, ask.client_id, ask.cart.reference)
    values = {"client": ask.client_id, "cart": ask.cart.reference}
    return session.execute(_LIVE, values).one_or_none()


def live_by_cart(session: Session, client_id: UUID, reference: str) -> Row[Any] | None:
    """The reservation that a cart has, be its time over or not, locked."""
    values = {"client": client_id, "cart": reference}
    return session.execute(_LIVE_LOCKED, values).one_or_none()


def live_by_id(session: Session, client_id: UUID, usage_id: UUID) -> Row[Any] | None:
    """A reservation that is live, be its time over or not, locked."""
    values = {"client": client_id, "usage": usage_id}
    return session.execute(_BY_ID, values).one_or_none()


def has_it_already(session: Session, ask: Ask) -> bool:
    """Whether the cart has this very code."""
    live = live_in_cart(session, ask)
    if live is None:
        return False
    try:
        code = code_named(session, ask.client_id, ask.code, ask.customer)
    except Refusal:
        return False
    return _has(codes_on(session, live.id), code)


def is_another_s(live: Row[Any], customer: KnownCustomer) -> bool:
    """Whether a reservation is of somebody of whom nothing is the customer's."""
    return not set(live.customer_keys) & set(customer.keys)


@dataclass(frozen=True, slots=True)
class _Doing:
    """One application of a code, by whom and when."""

    session: Session
    ask: Ask
    actor_id: UUID | None
    now: datetime
    limits: Limits


def _has(codes: Sequence[Row[Any]], code: Row[Any]) -> bool:
    return code.id in {one.code_id for one in codes}


def _kept(doing: _Doing, code: Row[Any], live: Row[Any]) -> Reserved | CartChanged:
    """What the cart has already, for who is better known by now, priced anew if it changed (EC-016)."""
    session, ask, now = doing.session, doing.ask, doing.now
    if live.kept_until <= now or is_another_s(live, ask.customer):
        if live.purchase_id is not None:
            is_over = live.kept_until <= now
            reason = ReleaseReason.TIMEOUT if is_over else ReleaseReason.CUSTOMER
            raise BeingPaid(live.purchase_id, reason)
        raise InTheWay
    codes = codes_on(session, live.id)
    if not _has(codes, code):
        return _add(doing, code, live, codes)
    _count(doing, live, codes)
    is_replay, changed = live.cart_digest == ask.cart.digest, None
    if not is_replay:
        changed = reprice(session, live, ask.cart, now=now, actor_id=doing.actor_id)
    # The code comes last: what is given back above locks customers.
    _know_assignee(session, code, ask.customer)
    return changed or Reserved(live.id, code.id, is_replay=is_replay)


def _add(
    doing: _Doing, code: Row[Any], live: Row[Any], codes: Sequence[Row[Any]]
) -> Reserved | CartChanged:
    """One code more for a cart that has some (EC-018); what they cost together is the same in any order."""
    session, ask, now = doing.session, doing.ask, doing.now
    there = [on_cart(one) for one in codes]
    new = _wanted(doing, code)
    refusal = refuse_stacking(there, new, most=doing.limits.codes_per_cart_max)
    if refusal is not None:
        raise refusal
    if live.cart_digest != ask.cart.digest:
        changed = reprice(session, live, ask.cart, now=now, actor_id=doing.actor_id)
        if changed is not None:
            return changed
    priced = _good(price_stack([*there, new], ask.cart))
    if live.purchase_id is not None:
        raise BeingPaid(live.purchase_id, ReleaseReason.CART_CHANGED)
    keys = _count(doing, live, codes, code)
    take_slot(session, code)
    _know_assignee(session, code, ask.customer)
    customer = KnownCustomer(keys, live.user_id)
    slot = Slot(ask.cart, customer, live.kept_until, live.id)
    write_usage(session, code, slot, priced, actor_id=doing.actor_id)
    write_prices(session, codes, ask.cart, priced)
    return Reserved(live.id, code.id, is_new=True)


def _count(
    doing: _Doing, live: Row[Any], codes: Sequence[Row[Any]], added: Row[Any] | None = None
) -> tuple[bytes, ...]:
    """Count what a customer is newly known by, for all codes of the cart, and all for one that is added.

    All that the customer is known by.
    """
    new = sorted(set(doing.ask.customer.keys) - set(live.customer_keys))
    whole = (*live.customer_keys, *new)
    if any(is_own(one, new) for one in codes) or (added is not None and is_own(added, whole)):
        raise OwnReferral
    uses = [Use(one.code_id, new, one.max_uses_per_customer) for one in codes] if new else []
    if added is not None:
        uses.append(Use(added.id, sorted(whole), added.max_uses_per_customer))
    if uses:
        count_customer(
            doing.session,
            _tenant(live),
            uses,
            slots=new,
            whole=whole,
            but=[one.id for one in codes],
            limits=doing.limits,
        )
    if new:
        know_better(doing.session, live.id, new)
    return whole


def _take(doing: _Doing, code: Row[Any]) -> Reserved:
    """A slot for a cart that has no code, and was not paid lately with others or without."""
    session, ask, limits = doing.session, doing.ask, doing.limits
    cart, keys = ask.cart, ask.customer.keys
    refuse_paid(session, ask.client_id, cart.reference, cart.digest, keys, now=doing.now)
    if is_own(code, keys):
        raise OwnReferral
    priced = _good(price_stack([_wanted(doing, code)], cart))
    uses = [Use(code.id, keys, code.max_uses_per_customer)]
    timeouts = count_customer(session, _tenant(code), uses, slots=keys, whole=keys, limits=limits)
    take_slot(session, code)
    _know_assignee(session, code, ask.customer)
    is_short = timeouts >= limits.reservation_timeouts_max
    seconds = limits.reservation_short_seconds if is_short else limits.reservation_seconds
    slot = Slot(ask.cart, ask.customer, doing.now + timedelta(seconds=seconds))
    made = write_usage(session, code, slot, priced, actor_id=doing.actor_id)
    return Reserved(made, code.id, is_new=True)


def _know_assignee(session: Session, code: Row[Any], customer: KnownCustomer) -> None:
    """Whom a code is for, as a guest, is known by now: they keep it by whatever they come next (EC-017)."""
    is_news = code.assigned_user_id is None and customer.user_id is not None
    if is_news and code.assignee_keys is not None:
        session.execute(_KNOW_ASSIGNEE, {"code": code.id, "user": customer.user_id})


def _wanted(doing: _Doing, code: Row[Any]) -> OnCart:
    """The code that is asked for, as it is now; raises `CodeInactive`."""
    if code.state != CodeState.ACTIVE:
        raise CodeInactive
    rules, keys = rules_of(code), doing.ask.customer.keys
    is_first = may_be_first(doing.session, rules, code.client_id, keys)
    is_referral = code.referrer_keys is not None
    return OnCart(code.code, rules, doing.now, is_first_order=is_first, is_referral=is_referral)


def _good(priced: Stack | Unfit) -> Stack:
    if isinstance(priced, Unfit):
        raise priced.why
    return priced


def _tenant(row: Row[Any]) -> dict[str, UUID]:
    return {"agency": row.agency_id, "client": row.client_id}
