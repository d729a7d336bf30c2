"""Take a slot of a code for a cart: the conditional updates decide, whoever is there at once (EC-001).

Rows are locked in one order: the cart's reservation, customers, their uses, the code. What is in the
way and over is given back before, in a transaction of its own (`give_way.py`).
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.dialects.postgresql import insert as insert_or_not
from sqlalchemy.orm import Session

from models.base import new_id
from models.discounts import CodeState, DiscountUsage
from pipelines.audit.record import record
from pipelines.discounts.cart import Cart
from pipelines.discounts.count_customers import count_customer, count_more, is_first_purchase
from pipelines.discounts.customers import KnownCustomer
from pipelines.discounts.look_up import code_named, is_own
from pipelines.discounts.pricing import Quote
from pipelines.discounts.refusals import (
    CartChanged,
    CodeBusy,
    CodeInactive,
    OwnReferral,
    SlotExhausted,
    StackingNotAllowed,
)
from pipelines.discounts.release import BeingPaid, ReleaseReason, release
from pipelines.discounts.rules import price
from pipelines.discounts.stored_rules import RULES_READ, rules_of
from pipelines.errors import Refusal
from pipelines.limits import Limits

#: Somebody else may take the same cart, or change the code, between a look and the write.
TRIES_MAX = 5

_IN_CART = f"""
SELECT u.id, u.agency_id, u.client_id, u.code_id, u.rules_version, u.cart_reference, u.cart_digest,
    u.customer_keys,
    u.expires_at AS kept_until, u.purchase_id,
    {RULES_READ}
FROM discount_usages u JOIN discount_rules r ON r.code_id = u.code_id AND r.version = u.rules_version
WHERE u.client_id = :client AND u.cart_reference = :cart AND u.state = 'reserved'
"""
_LIVE = text(_IN_CART)
_BY_ID = text(
    _IN_CART.replace("u.cart_reference = :cart", "u.id = :usage") + "FOR NO KEY UPDATE OF u"
)
_LIVE_LOCKED = text(_IN_CART + "FOR NO KEY UPDATE OF u")
_REPRICE = text("""
UPDATE discount_usages SET cart_digest = :digest, quote = CAST(:quote AS jsonb),
    currency = :currency, subtotal_minor = :subtotal, discount_minor = :discount,
    total_minor = :total, quote_version = quote_version + 1, version = version + 1
WHERE id = :usage
""")
_TAKE_SLOT = text("""
UPDATE discount_codes SET used = used + 1
WHERE id = :code AND state = 'active' AND rules_version = :rules
  AND max_uses_per_customer IS NOT DISTINCT FROM :per_customer
  AND used < coalesce(max_uses, used + 1)
""")
_KNOW_ASSIGNEE = text("""
UPDATE discount_codes SET assigned_user_id = :user WHERE id = :code AND assigned_user_id IS NULL
""")
_STANDS = text("""
SELECT state, rules_version, max_uses_per_customer FROM discount_codes WHERE id = :code
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
    """The reservation; `is_replay` where the cart had it already, as it is."""

    usage_id: UUID
    is_new: bool = False
    is_replay: bool = False


class InTheWay(Exception):
    """The cart has a reservation that is over, or another customer's: it is given back first."""


class _Again(Exception):
    """Somebody was quicker; what is so now decides."""


def reserve(
    session: Session, ask: Ask, *, actor_id: UUID | None, now: datetime, limits: Limits
) -> Reserved | CartChanged:
    """Take a slot, or price anew what the cart has; a cart that the code is not for gives it back.

    Raises `CodeInvalid`, `ClientSuspended`, `CodeInactive`, `OwnReferral`, `StackingNotAllowed`,
    `TooManyReservations`, `AlreadyReserved`, `AlreadyUsed`, `SlotExhausted`, what the rules say of
    the cart, and `InTheWay`; nothing is written then.
    """
    for _ in range(TRIES_MAX):
        code = code_named(session, ask.client_id, ask.code, ask.customer)
        live = live_in_cart(session, ask, is_locked=True)
        if live is not None:
            return _kept(session, ask, code, live, now=now, actor_id=actor_id, limits=limits)
        savepoint = session.begin_nested()
        try:
            made = _take(session, ask, code, actor_id=actor_id, now=now, limits=limits)
        except _Again:
            savepoint.rollback()
            continue
        savepoint.commit()
        return Reserved(made, is_new=True)
    raise CodeBusy


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
    try:
        code = code_named(session, ask.client_id, ask.code, ask.customer)
        return live is not None and live.code_id == code.id
    except Refusal:
        return False


def is_another_s(live: Row[Any], customer: KnownCustomer) -> bool:
    """Whether a reservation is of somebody of whom nothing is the customer's."""
    return not set(live.customer_keys) & set(customer.keys)


def _kept(
    session: Session,
    ask: Ask,
    code: Row[Any],
    live: Row[Any],
    *,
    now: datetime,
    actor_id: UUID | None,
    limits: Limits,
) -> Reserved | CartChanged:
    """What the cart has already, for who is better known by now, priced anew if it changed (EC-016)."""
    if live.kept_until <= now or is_another_s(live, ask.customer):
        if live.purchase_id is not None:
            is_over = live.kept_until <= now
            reason = ReleaseReason.TIMEOUT if is_over else ReleaseReason.CUSTOMER
            raise BeingPaid(live.purchase_id, reason)
        raise InTheWay
    if live.code_id != code.id:
        raise StackingNotAllowed
    new = sorted(set(ask.customer.keys) - set(live.customer_keys))
    if new:
        if is_own(code, new):
            raise OwnReferral
        count_more(session, live, new, most_uses=code.max_uses_per_customer, limits=limits)
    _know_assignee(session, code, ask.customer)
    if live.cart_digest == ask.cart.digest:
        return Reserved(live.id, is_replay=True)
    return reprice(session, live, ask.cart, now=now, actor_id=actor_id)


def reprice(
    session: Session, live: Row[Any], cart: Cart, *, now: datetime, actor_id: UUID | None
) -> Reserved | CartChanged:
    """Price a reservation anew for a cart that has changed, or give it back (EC-016).

    Raises `BeingPaid` while somebody could pay what it cost before.
    """
    if live.purchase_id is not None:
        raise BeingPaid(live.purchase_id, ReleaseReason.CART_CHANGED)
    # By the rules that it was reserved under, and whatever the time is now (EC-010, EC-025).
    priced = price(rules_of(live), cart, None, is_first_order=True)
    if isinstance(priced, Refusal):
        release(session, live.id, ReleaseReason.CART_CHANGED, now=now, actor_id=actor_id)
        return CartChanged(priced)
    session.execute(_REPRICE, {"usage": live.id, "digest": cart.digest} | _amounts(priced))
    return Reserved(live.id)


def _take(
    session: Session,
    ask: Ask,
    code: Row[Any],
    *,
    actor_id: UUID | None,
    now: datetime,
    limits: Limits,
) -> UUID:
    if code.state != CodeState.ACTIVE:
        raise CodeInactive
    if is_own(code, ask.customer.keys):
        raise OwnReferral
    is_first = is_first_purchase(session, code.client_id, ask.customer.keys)
    priced = price(rules_of(code), ask.cart, now, is_first_order=is_first)
    if isinstance(priced, Refusal):
        raise priced
    most_uses = code.max_uses_per_customer
    timeouts = count_customer(session, code, ask.customer.keys, most_uses=most_uses, limits=limits)
    _take_slot(session, code)
    _know_assignee(session, code, ask.customer)
    is_short = timeouts >= limits.reservation_timeouts_max
    seconds = limits.reservation_short_seconds if is_short else limits.reservation_seconds
    expires_at = now + timedelta(seconds=seconds)
    made = _write(session, ask, code, priced, expires_at=expires_at, actor_id=actor_id)
    record(
        session,
        "reservation.made",
        object_kind="reservation",
        object_id=made,
        actor_id=actor_id,
        agency_id=code.agency_id,
        client_id=code.client_id,
        detail={"discount_id": str(code.id), "discount_minor": priced.discount_minor},
    )
    return made


def _know_assignee(session: Session, code: Row[Any], customer: KnownCustomer) -> None:
    """Whom a code is for, as a guest, is known by now: they keep it by whatever they come next (EC-017)."""
    is_news = code.assigned_user_id is None and customer.user_id is not None
    if is_news and code.assignee_keys is not None:
        session.execute(_KNOW_ASSIGNEE, {"code": code.id, "user": customer.user_id})


def _take_slot(session: Session, code: Row[Any]) -> None:
    values = {
        "code": code.id,
        "rules": code.rules_version,
        "per_customer": code.max_uses_per_customer,
    }
    if session.execute(_TAKE_SLOT, values).rowcount:  # type: ignore[attr-defined]
        return
    stands = session.execute(_STANDS, {"code": code.id}).one()
    if stands.state != CodeState.ACTIVE:
        raise CodeInactive
    read = (code.rules_version, code.max_uses_per_customer)
    if (stands.rules_version, stands.max_uses_per_customer) != read:
        raise _Again
    raise SlotExhausted


def _write(
    session: Session,
    ask: Ask,
    code: Row[Any],
    priced: Quote,
    *,
    expires_at: datetime,
    actor_id: UUID | None,
) -> UUID:
    made = session.execute(
        insert_or_not(DiscountUsage)
        .values(
            id=new_id(),
            agency_id=code.agency_id,
            client_id=code.client_id,
            code_id=code.id,
            rules_version=code.rules_version,
            cart_reference=ask.cart.reference,
            cart_digest=ask.cart.digest,
            quote=priced.as_json(),
            currency=priced.currency,
            subtotal_minor=priced.subtotal_minor,
            discount_minor=priced.discount_minor,
            total_minor=priced.total_minor,
            user_id=ask.customer.user_id,
            customer_keys=list(ask.customer.keys),
            expires_at=expires_at,
            created_by=actor_id,
        )
        .on_conflict_do_nothing(
            index_elements=["client_id", "cart_reference"],
            index_where=text("state = 'reserved'"),
        )
        .returning(DiscountUsage.id)
    ).scalar_one_or_none()
    if made is None:
        raise _Again
    return made


def _amounts(priced: Quote) -> dict[str, Any]:
    return {
        "quote": json.dumps(priced.as_json()),
        "currency": priced.currency,
        "subtotal": priced.subtotal_minor,
        "discount": priced.discount_minor,
        "total": priced.total_minor,
    }
